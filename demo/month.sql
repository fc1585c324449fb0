-- Every day of the run, one after the other in one session, with a line of progress for each.
-- Given: :reading. Then back to real time, where kin_tr's background workers take over again.

CREATE FUNCTION bank.progress(reading text, today date) RETURNS text
LANGUAGE sql AS $$
	SELECT format('%-8s  %s  %6s of %s calls  %3s %%  %4s s', reading, to_char(today, 'Dy DD Mon YYYY'),
		to_char(done, 'FM999,999'), to_char(due, 'FM999,999'), 100 * done / due,
		extract(epoch FROM clock_timestamp() - backend_start)::integer)
	FROM (SELECT count(*) FILTER (WHERE day <= today) AS done, count(*) AS due
			FROM bank.calls, bank.settings WHERE left_out IS NULL AND day <= last_day) AS calls,
		pg_stat_activity
	WHERE pid = pg_backend_pid()
$$;

-- A replay that a power cut would end is begun anew, so no commit waits for the disk.
SET synchronous_commit = off;

SELECT format('CALL bank.replay_day(%L, %L)', :'reading', day::date),
	format('SELECT bank.progress(%L, %L)', :'reading', day::date)
FROM bank.settings, generate_series(first_day, last_day, interval '1 day') AS day
\gexec

-- Early on a Monday the last calls of Sunday may still lie ahead.
SELECT kin_tr.set_clock(NULL, force => (SELECT max(ended_at) >= now() FROM bank.outcomes))
\g /dev/null

-- What kin_tr remembers must be what was seen to happen, and every call must have come to its end.
DO $$
BEGIN
	IF EXISTS (
		SELECT FROM bank.outcomes AS o FULL JOIN kin_tr.all_tasks AS t ON t.sid = o.task_sid
		WHERE t.assignment_status IS DISTINCT FROM CASE WHEN o.answered_at IS NULL THEN 'canceled' ELSE 'completed' END
		OR o.ended_at IS NULL)
		OR (SELECT count(*) FROM bank.outcomes)
			<> (SELECT count(*) FROM bank.calls, bank.settings WHERE left_out IS NULL AND day <= last_day)
	THEN
		RAISE EXCEPTION 'kin_tr''s history and the replay disagree';
	END IF;
END
$$;
