-- Every day of the run, one after the other in one session, with a line of progress for each.
-- Given: :reading. Then back to real time, where kin_tr's background workers take over again.

CREATE TABLE bank.days AS
	SELECT day, count(*) AS calls
	FROM bank.calls, bank.settings WHERE left_out IS NULL AND day <= last_day
	GROUP BY day;

CREATE FUNCTION bank.progress(reading text, today date) RETURNS text
LANGUAGE sql AS $$
	SELECT format('%-8s  %s  %6s of %s calls  %3s %%  %4s s', reading, to_char(today, 'Dy DD Mon YYYY'),
		to_char(sum(calls) FILTER (WHERE day <= today), 'FM999,999'), to_char(sum(calls), 'FM999,999'),
		floor(100 * sum(calls) FILTER (WHERE day <= today) / sum(calls)),
		(SELECT extract(epoch FROM clock_timestamp() - backend_start)::integer
			FROM pg_stat_activity WHERE pid = pg_backend_pid()))
	FROM bank.days
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

-- What kin_tr remembers must be what was seen to happen, every call must have come to its end, and
-- kin_tr must have missed nothing and find nothing wrong with itself.
DO $$
DECLARE
	broken	text;
BEGIN
	IF EXISTS (
		SELECT FROM bank.outcomes AS o FULL JOIN kin_tr.all_tasks AS t ON t.sid = o.task_sid
		WHERE t.assignment_status IS DISTINCT FROM CASE WHEN o.answered_at IS NULL THEN 'canceled' ELSE 'completed' END
		OR o.ended_at IS NULL)
		OR (SELECT count(*) FROM bank.outcomes) <> (SELECT sum(calls) FROM bank.days)
	THEN
		RAISE EXCEPTION 'kin_tr''s history and the replay disagree';
	END IF;
	IF kin_tr._sweep() <> 0 THEN
		RAISE EXCEPTION 'kin_tr has missed an assignment';
	END IF;
	SELECT format('%s: %s (%s)', invariant, detail, object) INTO broken FROM kin_tr.check() LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'kin_tr.check() finds: %', broken;
	END IF;
END
$$;
