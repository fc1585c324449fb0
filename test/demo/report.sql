-- The month in a table, and by hour of the day: the real centre beside kin_tr under each reading.
-- Wants every reading's outcomes in bank.replayed (reading, record, agent, answered_at, ended_at).

\pset format unaligned
\pset tuples_only on
\pset pager off
SET timezone = 'UTC';

-- ---------------------------------------------------------------------------------------------
-- Three accounts of the same calls, in one shape
-- ---------------------------------------------------------------------------------------------
CREATE TEMP TABLE accounts (number, account, title) AS VALUES
	(1, 'real', 'The real centre'),
	(2, 'generous', 'kin_tr, generous reading'),
	(3, 'strict', 'kin_tr, strict reading');

CREATE TEMP TABLE answers AS
	SELECT 'real' AS account, record, agent, day, arrival, answered, wait,
		service_start, service_end
	FROM bank.calls, bank.settings WHERE left_out IS NULL AND day <= last_day
	UNION ALL
	SELECT reading, record, r.agent, day, arrival, answered_at IS NOT NULL,
		extract(epoch FROM coalesce(answered_at, ended_at) - arrival)::integer,
		answered_at, CASE WHEN answered_at IS NOT NULL THEN ended_at END
	FROM bank.replayed AS r JOIN bank.calls USING (record);

-- Occupancy: of the time in which agents served or were there to serve, the share in which they
-- served. Whoever serves is there, also after the hour at which its presence ends. The real centre
-- has an occupancy for each reading of its agents' presence.
CREATE TEMP TABLE staff AS
	WITH services AS (
		SELECT account, agent, day, range_agg(tstzrange(service_start, service_end)) AS serving
		FROM answers WHERE service_start IS NOT NULL
		GROUP BY account, agent, day
	)
	SELECT account, reading, coalesce(serving, '{}') AS serving,
		present + coalesce(serving, '{}') AS staffed
	FROM bank.presence AS p
	JOIN bank.settings ON p.day <= last_day
	JOIN (SELECT DISTINCT account FROM answers) AS accounts ON account IN (p.reading, 'real')
	LEFT JOIN services USING (account, agent, day);

-- In both tables an hour of NULL means the whole run.
CREATE TEMP TABLE occupancy AS
	WITH spans AS (
		SELECT account, reading, true AS serving, unnest(serving) AS span FROM staff
		UNION ALL
		SELECT account, reading, false, unnest(staffed) FROM staff
	), hourly AS (
		SELECT account, reading, serving, extract(hour FROM start)::integer AS hour,
			extract(epoch FROM least(upper(span), start + interval '1 hour') - greatest(lower(span), start)) AS seconds
		FROM spans, generate_series(date_trunc('hour', lower(span)), upper(span), interval '1 hour') AS start
	), shares AS (
		SELECT account, reading, hour,
			round(100 * sum(seconds) FILTER (WHERE serving)
				/ nullif(sum(seconds) FILTER (WHERE NOT serving), 0)) AS percent
		FROM hourly
		GROUP BY GROUPING SETS ((account, reading, hour), (account, reading))
	)
	SELECT account, hour, string_agg(percent::text, '-' ORDER BY reading) AS occupancy
	FROM shares
	GROUP BY account, hour;

CREATE TEMP TABLE figures AS
	WITH hourly AS (
		SELECT *, extract(hour FROM arrival)::integer AS hour FROM answers
	), measured AS (
		SELECT account, hour,
			count(*) AS offered,
			count(*) FILTER (WHERE answered) AS answered,
			count(*) FILTER (WHERE NOT answered) AS abandoned,
			avg(wait) FILTER (WHERE answered) AS average,
			percentile_disc(0.9) WITHIN GROUP (ORDER BY wait) FILTER (WHERE answered) AS p90,
			100.0 * count(*) FILTER (WHERE answered AND wait <= 20) / count(*) AS in_time
		FROM hourly
		GROUP BY GROUPING SETS ((account, hour), (account))
	)
	SELECT m.*, o.occupancy
	FROM measured AS m
	LEFT JOIN occupancy AS o ON o.account = m.account AND o.hour IS NOT DISTINCT FROM m.hour;

-- ---------------------------------------------------------------------------------------------
-- The month
-- ---------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.thousands(n bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT to_char(n, 'FM999,999,999') $$;

SELECT format(E'\nFebruary 1999 at a bank''s call centre, %s, seed %s\n',
	CASE WHEN last_day - first_day = 27 THEN 'the whole month'
		WHEN last_day = first_day THEN 'its first day'
		ELSE 'its first ' || last_day - first_day + 1 || ' days' END, seed)
FROM bank.settings;

SELECT format(
	E'Its days are moved %s weeks, each to the same weekday, and end on %s:\n'
	'kin_tr keeps events and history by date, and goes on in real time behind them.\n',
	weeks, last_day)
FROM bank.settings;

SELECT format('%-44s%12s%12s%12s', '', 'the real', 'kin_tr', 'kin_tr')
UNION ALL
SELECT format('%-44s%12s%12s%12s', '', 'centre', 'generous', 'strict');

SELECT format('%-44s%12s%12s%12s', label,
	coalesce(max(value) FILTER (WHERE account = 'real'), '-'),
	coalesce(max(value) FILTER (WHERE account = 'generous'), '-'),
	coalesce(max(value) FILTER (WHERE account = 'strict'), '-'))
FROM figures, LATERAL (VALUES
	(1, 'calls offered', pg_temp.thousands(offered)),
	(2, 'calls answered', pg_temp.thousands(answered)),
	(3, 'calls abandoned', pg_temp.thousands(abandoned)),
	(4, 'average wait of answered calls, s', round(average, 1)::text),
	(5, '90th-percentile wait of answered calls, s', p90::text),
	(6, 'service level: answered within 20 s, %', round(in_time, 1)::text),
	(7, 'occupancy of agents, %', occupancy)) AS line (place, label, value)
WHERE hour IS NULL
GROUP BY place, label
ORDER BY place;

\echo
\echo 'real: as recorded; its occupancy is under both readings of the agents'' presence,'
\echo '  which the data do not give.'
\echo 'generous: an agent is present from its first to its last service of the day.'
\echo 'strict: also absent whenever a caller it could serve waited while it was idle.'
\echo 'Breaks while nobody waited, and work after a call, are in neither reading: both'
\echo '  give kin_tr more of the agents'' time than the bank had.'
\echo 'Service level: answered within 20 s / (answered + abandoned).'
\echo

SELECT format(
	E'Drawn from the distributions of the call''s type: the patience of the %s\n'
	'callers answered in reality, given that it exceeds their real wait; the service\n'
	'times of the %s calls that hung up, and of %s whose records lack them.',
	pg_temp.thousands(count(*) FILTER (WHERE answered)),
	pg_temp.thousands(count(*) FILTER (WHERE NOT answered)),
	pg_temp.thousands(count(*) FILTER (WHERE answered AND service_start IS NULL)))
FROM bank.calls, bank.settings WHERE left_out IS NULL AND day <= last_day;

-- ---------------------------------------------------------------------------------------------
-- What is left out
-- ---------------------------------------------------------------------------------------------
CREATE TEMP TABLE recorded AS
	SELECT calls.*, coalesce(extract(epoch FROM service_end - service_start), 0) AS seconds
	FROM bank.calls, bank.settings WHERE day <= last_day;

SELECT format(E'\nLeft out of %s records:', pg_temp.thousands(count(*))) FROM recorded;

SELECT format('%8s  %s', pg_temp.thousands(count(record)), what)
FROM (VALUES
	(1, 'phantom', 'PHANTOM'),
	(2, 'never queued', 'hang-ups that never queued'),
	(3, 'no server', 'served by NO_SERVER'),
	(4, 'overlap', 'services that overlap another of the same agent'),
	(5, 'TT', 'TT, a call back that was put on hold')) AS reasons (place, left_out, what)
LEFT JOIN recorded USING (left_out)
GROUP BY place, what
ORDER BY place;

-- A call that hung up is replayed as just that; if the records give it a service, that part is not.
SELECT format(
	E'An agent is away while it served a call left out: %s %% of all service time.\n'
	'%s %% of it is left out and carries no agent''s name: it keeps nobody away.',
	round(100 * sum(seconds) FILTER (WHERE left_out IS NOT NULL AND agent IS NOT NULL) / sum(seconds), 2),
	round(100 * sum(seconds) FILTER (WHERE agent IS NULL) / sum(seconds), 2))
FROM recorded;

-- ---------------------------------------------------------------------------------------------
-- The day, hour by hour
-- ---------------------------------------------------------------------------------------------
-- One scale for all blocks, so that their bars compare; the day begins at four.
SELECT CASE WHEN hour IS NULL THEN format(
		E'\n%s, by hour (# answered, - abandoned, one is %s calls)\n\n'
		'%43s%8s%8s\n%43s%8s%8s\n%s',
		title, mark, 'wait, s, of', 'within', 'occu-', 'answered ', '20 s', 'pancy',
		'hour offered answered abandoned mean  90th       %       %')
	ELSE rtrim(format('%4s%8s%9s%10s%5s%6s%8s%8s  %s', to_char(hour, 'FM00'),
		pg_temp.thousands(offered), pg_temp.thousands(answered), pg_temp.thousands(abandoned),
		coalesce(round(average)::text, '-'), coalesce(p90::text, '-'), round(in_time),
		coalesce(occupancy, '-'),
		repeat('#', round(answered / mark)::integer)
			|| repeat('-', (round(offered / mark) - round(answered / mark))::integer))) END
FROM figures JOIN accounts USING (account),
	(SELECT greatest(1, ceil(max(offered) / 20.0)) AS mark FROM figures WHERE hour IS NOT NULL) AS scale
ORDER BY number, hour IS NOT NULL, (hour + 20) % 24;
