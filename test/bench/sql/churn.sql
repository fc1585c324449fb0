-- Whole lives as fast as one session can drive them: batches of tasks for all workers in turn, and whatever
-- the router has offered is accepted and completed. What was offered is learned from the event log, so that
-- an old snapshot does not slow the driver down. The workers' capacity must be open.
CREATE OR REPLACE PROCEDURE bench.churn(lives integer, batch integer) LANGUAGE plpgsql AS $$
DECLARE
	workers integer := (SELECT count(*) FROM kin_tr.workers);
	cursor text := kin_tr.current_cursor();
	created integer := 0;
	done integer := 0;
	n integer;
BEGIN
	WHILE done < lives LOOP
		-- At most two batches wait or are at work at a time.
		IF created < lives AND created - done <= batch THEN
			PERFORM kin_tr.create_task(bench.worker(i % workers) - 'skills' - 'level'
									   || jsonb_build_object('skill', bench.worker(i % workers) #> '{skills,0}', 'level', 1))
			   FROM generate_series(created, created + batch - 1) AS i;
			created := created + batch;
			COMMIT;
		END IF;
		WITH offered AS MATERIALIZED (
			SELECT e.next_cursor, e.resource_sid FROM kin_tr.events_since(cursor, 10000, ARRAY['reservation.created']) AS e
		), done AS MATERIALIZED (
			SELECT kin_tr.accept_reservation(o.resource_sid), kin_tr.complete_reservation(o.resource_sid)
			  FROM offered AS o WHERE o.resource_sid IS NOT NULL
		)
		SELECT (SELECT count(*) FROM done), coalesce((SELECT min(o.next_cursor) FROM offered AS o), cursor) INTO n, cursor;
		done := done + n;
		COMMIT;
	END LOOP;
END $$;
