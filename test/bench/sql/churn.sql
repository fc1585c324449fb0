-- Whole lives as fast as one session can drive them: batches of tasks that the workers fit by turns, and
-- whatever the router has offered is accepted and completed. What it has offered is read from the event
-- log, so that an old snapshot does not slow the driver down; the router alone writes these events, so
-- their ids rise with their commits. The workers' capacity must be open.
CREATE PROCEDURE bench.churn(lives integer, batch integer) LANGUAGE plpgsql AS $$
DECLARE
	workers integer := (SELECT count(*) FROM kin_tr.workers);
	last bigint := (SELECT coalesce(max(id), 0) FROM kin_tr.events);
	created integer := 0;
	done integer := 0;
	n integer;
	next bigint;
BEGIN
	WHILE done < lives LOOP
		-- One batch waits while another is at work.
		IF created < lives AND created - done <= batch THEN
			PERFORM kin_tr.create_task(bench.worker(i % workers) - '{skills,level}'::text[]
									   || jsonb_build_object('skill', bench.worker(i % workers) #> '{skills,0}', 'level', 1))
			   FROM generate_series(created, created + batch - 1) AS i;
			created := created + batch;
			COMMIT;
		END IF;
		WITH offered AS MATERIALIZED (
			SELECT e.id, kin_tr.accept_reservation(e.resource_sid), kin_tr.complete_reservation(e.resource_sid)
			  FROM (SELECT id, resource_sid FROM kin_tr.events
					 WHERE id > last AND event_type = 'reservation.created' ORDER BY id LIMIT batch) AS e)
		SELECT count(*), coalesce(max(id), last) INTO n, next FROM offered;
		done := done + n;
		last := next;
		COMMIT;
		IF n = 0 THEN
			PERFORM pg_sleep(0.001);
		END IF;
	END LOOP;
END $$;
