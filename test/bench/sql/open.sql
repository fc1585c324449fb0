-- Frees :n workers, drawn by :seed, of the tasks that they have accepted, in one commit. Its last line is the
-- transaction's id.
BEGIN;
SELECT count(kin_tr.complete_reservation(sid))
  FROM (SELECT sid FROM kin_tr.reservations WHERE reservation_status = 'accepted'
		 ORDER BY hashtext(sid || :'seed') LIMIT :n) AS chosen;
SELECT pg_current_xact_id()::xid;
COMMIT;
