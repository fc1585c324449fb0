-- Opens a capacity of :capacity in the channel "default" for :workers workers, drawn by :seed, in one
-- commit. Its last line is the transaction's id.
BEGIN;
SELECT count(kin_tr.update_worker_channel(friendly_name, 'default', :capacity))
  FROM (SELECT friendly_name FROM kin_tr.workers ORDER BY hashtext(friendly_name || :'seed') LIMIT :workers) AS chosen;
SELECT pg_current_xact_id()::xid;
COMMIT;
