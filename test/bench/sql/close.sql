-- The workers accept what they were offered and are all busy again; for each of the :n tasks that were
-- completed last, one like it waits again.
SELECT count(kin_tr.accept_reservation(sid)) FROM kin_tr.reservations WHERE is_open AND reservation_status = 'pending';
SELECT count(kin_tr.create_task(attributes))
  FROM (SELECT attributes FROM kin_tr.tasks WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT :n) AS completed;
