-- Takes an opening back: closes the capacity, completes what was offered, and creates the same tasks again.
CREATE TEMPORARY TABLE taken AS
	SELECT r.sid, r.worker_name, t.attributes
	  FROM kin_tr.reservations AS r JOIN kin_tr.tasks AS t ON t.sid = r.task_sid
	 WHERE r.is_open AND r.reservation_status = 'pending';
SELECT count(kin_tr.update_worker_channel(worker_name, 'default', 0)) FROM (SELECT DISTINCT worker_name FROM taken) AS t;
SELECT count(kin_tr.accept_reservation(sid)), count(kin_tr.complete_reservation(sid)) FROM taken;
SELECT count(kin_tr.create_task(attributes)) FROM taken;
