-- Client i is worker i: it creates a task, and accepts and completes the oldest task that it was offered.
-- Three round trips, three durable commits; where nothing is offered yet, it goes on.
SELECT kin_tr.create_task(:attrs::jsonb);
SELECT count(kin_tr.accept_reservation(sid)) AS accepted, coalesce(min(sid::text), '') AS reservation
  FROM (SELECT sid FROM kin_tr.reservations
         WHERE worker_sid = (:workers::kin_tr.sid[])[:client_id + 1] AND is_open AND reservation_status = 'pending'
         ORDER BY sid LIMIT 1) AS oldest \gset
\if :accepted
SELECT kin_tr.complete_reservation(:reservation);
\endif
