-- From records to what a replay needs: calls with an arrival, a patience and a service time, and
-- agents with skills and hours of presence under two readings. Given: :seed and :days.
--
-- What the file does not say is drawn, and a draw depends on the seed and the record's number alone:
-- the same seed gives the same calls, however they are then routed.

BEGIN;

CREATE TABLE bank.settings AS
	-- 1999-02-28, the last day of the file, is a Sunday: whole weeks take it to the latest Sunday
	-- before today, and every call keeps its weekday. Everything is in UTC, where no hour is ever
	-- skipped or repeated.
	SELECT :'seed'::text AS seed, weeks,
		date '1999-02-01' + 7 * weeks AS first_day,
		date '1999-02-01' + 7 * weeks + :days - 1 AS last_day
	FROM (SELECT ((now() AT TIME ZONE 'UTC')::date - 1 - date '1999-02-28') / 7 AS weeks) AS shift;

-- A time of day of a record, as a moment. Times after midnight carry the date on which the call
-- began, so a time that lies far before the call's first one belongs to the next day; a few seconds
-- before it is the clocks' disagreement.
CREATE FUNCTION bank.moment(day date, clock time, entered time) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
	SELECT (day + clock) AT TIME ZONE 'UTC'
		+ CASE WHEN entered - clock > interval '12 hours' THEN interval '1 day' ELSE interval '0' END
$$;

-- A number between 0 and 1, both excluded, that depends on nothing but its arguments. md5 and not
-- one of the server's own hashes, which may change with its version.
CREATE FUNCTION bank.uniform(seed text, record integer, what text) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
	SELECT (('x' || substr(md5(seed || ' ' || record || ' ' || what), 1, 13))::bit(52)::bigint + 0.5)
		/ 2.0 ^ 52
$$;

-- ---------------------------------------------------------------------------------------------
-- Calls
-- ---------------------------------------------------------------------------------------------
-- A call arrives when it joins the queue. One that was served without queueing would have joined
-- when it left the voice-response unit: that is the moment at which every other call joins. Real
-- waits are the recorded q_time, 0 for a call that never queued.
CREATE TABLE bank.calls AS
	SELECT record, type, priority,
		outcome = 'AGENT' AS answered,
		CASE WHEN queued THEN bank.moment(day, q_start, vru_entry)
			ELSE bank.moment(day, vru_exit, vru_entry) END AS arrival,
		queued,
		q_time AS wait,
		nullif(server, 'NO_SERVER') AS agent,
		CASE WHEN timed THEN bank.moment(day, ser_start, vru_entry) END AS service_start,
		CASE WHEN timed THEN bank.moment(day, ser_start, vru_entry) + make_interval(secs => ser_time)
			END AS service_end,
		-- The first reason that applies; two more follow below, in this order.
		CASE WHEN outcome = 'PHANTOM' THEN 'phantom'
			WHEN outcome = 'HANG' AND NOT queued THEN 'never queued'
			WHEN outcome = 'AGENT' AND server = 'NO_SERVER' THEN 'no server'
			END AS left_out,
		NULL::date AS day,
		NULL::integer AS patience,		-- seconds that the caller would wait
		NULL::integer AS service		-- seconds that the service takes, whoever gives it
	FROM bank.records, bank.settings,
		LATERAL (SELECT date + 7 * weeks AS day,
			-- Midnight is a time of day too: 0:00:00 means "never" only when both are.
			q_start <> '0:00' OR q_exit <> '0:00' AS queued,
			ser_start <> '0:00' OR ser_exit <> '0:00' AS timed) AS reading;

ALTER TABLE bank.calls ADD PRIMARY KEY (record);

-- The centre closes at midnight and opens at about seven: what ends after midnight belongs to the
-- evening before, and the cut at four separates no two calls of one shift. Nobody was at work in the
-- night before the month's first day.
UPDATE bank.calls SET day = greatest(first_day, (arrival AT TIME ZONE 'UTC' - interval '4 hours')::date)
	FROM bank.settings;

-- An agent has one pair of ears: of two services that overlap at least one is recorded wrongly, and
-- nothing tells which. Both are left out.
UPDATE bank.calls AS c SET left_out = 'overlap'
	WHERE left_out IS NULL
	AND EXISTS (SELECT FROM bank.calls AS other
		WHERE other.agent = c.agent AND other.day = c.day AND other.record <> c.record
		AND tstzrange(other.service_start, other.service_end) && tstzrange(c.service_start, c.service_end)
		AND other.service_start IS NOT NULL AND c.service_start IS NOT NULL);

UPDATE bank.calls SET left_out = 'TT' WHERE left_out IS NULL AND type = 'TT';

-- ---------------------------------------------------------------------------------------------
-- Agents
-- ---------------------------------------------------------------------------------------------
-- A skill is a type that the agent served at least once in the month, in a call left out too.
CREATE TABLE bank.agents AS
	SELECT row_number() OVER (ORDER BY agent)::integer AS number, agent AS name,
		array_agg(DISTINCT type) AS skills, NULL::kin_tr.sid AS worker_sid
	FROM bank.calls WHERE agent IS NOT NULL AND type <> 'TT'
	GROUP BY agent;

-- When an agent was present the file does not say, so there are two readings of it.
--
--   generous  from the first to the last service of the day, without a break; but away while it
--             served a call that is left out, for that work is not replayed.
--   strict    also absent whenever a caller whom it could serve waited in reality while it was idle:
--             had it been there, it would have taken the call.
--
-- Neither knows of a break while nobody waited, nor of the work after a call, so both give kin_tr
-- more of the agents' time than the bank had, the generous one much more.
CREATE TABLE bank.presence AS
	WITH services AS (
		SELECT agent, day,
			tstzmultirange(tstzrange(min(service_start), max(service_end))) AS attended,
			range_agg(tstzrange(service_start, service_end)) AS serving,
			coalesce(range_agg(tstzrange(service_start, service_end)) FILTER (WHERE left_out IS NOT NULL),
				'{}') AS away
		FROM bank.calls WHERE agent IS NOT NULL AND service_start IS NOT NULL
		GROUP BY agent, day
	), waits AS (
		-- Everyone who waited in reality for an agent of the skill, replayed here or not.
		SELECT s.agent, s.day,
			range_agg(tstzrange(c.arrival, c.arrival + make_interval(secs => c.wait))) AS waiting
		FROM services AS s
		JOIN bank.agents AS a ON a.name = s.agent
		JOIN bank.calls AS c ON c.day = s.day AND c.type = ANY (a.skills)
			AND c.wait > 0 AND c.left_out IS DISTINCT FROM 'phantom'
		GROUP BY s.agent, s.day
	), generous AS (
		SELECT agent, day, serving, attended - away AS present FROM services
	)
	SELECT 'generous' AS reading, agent, day, present FROM generous
	UNION ALL
	SELECT 'strict', agent, day, present - (coalesce(waiting, '{}') - serving)
	FROM generous LEFT JOIN waits USING (agent, day);

ALTER TABLE bank.presence ADD PRIMARY KEY (reading, day, agent);

-- ---------------------------------------------------------------------------------------------
-- Patience and service times
-- ---------------------------------------------------------------------------------------------
CREATE AGGREGATE bank.product(double precision) (
	SFUNC = float8mul, STYPE = double precision, INITCOND = '1');

-- Kaplan and Meier's estimate of the share of a type's callers who would wait longer than so many
-- seconds. A caller who hung up has shown its patience; of one who was answered we know only that it
-- exceeds the wait, so it counts among those at risk until then and no longer. Every call that
-- queued is in, a service left out for its record included: its wait is no less true. Callers served
-- at once have shown nothing and would only stand at second 0.
-- Nothing is known beyond the longest observation, so there the curve ends, at 0.
CREATE TABLE bank.patience_curves AS
	WITH observed AS (
		SELECT type, wait, count(*) FILTER (WHERE NOT answered) AS hung_up, count(*) AS ended
		FROM bank.calls
		WHERE queued AND type <> 'TT' AND left_out IS DISTINCT FROM 'phantom'
		GROUP BY type, wait
	), at_risk AS (
		SELECT *, sum(ended) OVER (PARTITION BY type ORDER BY wait DESC) AS at_risk,
			wait = max(wait) OVER (PARTITION BY type) AS longest
		FROM observed
	)
	SELECT type, wait, hung_up, at_risk,
		CASE WHEN longest THEN 0
			ELSE bank.product(1 - hung_up / at_risk::double precision) OVER (PARTITION BY type ORDER BY wait)
			END AS survival
	FROM at_risk;

CREATE INDEX ON bank.patience_curves (type, survival, wait);
CREATE INDEX ON bank.patience_curves (type, wait);

CREATE TABLE bank.service_times AS
	SELECT type, array_agg(seconds ORDER BY seconds) AS seconds
	FROM bank.calls,
		LATERAL (SELECT extract(epoch FROM service_end - service_start)::integer AS seconds) AS service
	WHERE answered AND left_out IS NULL AND service_start IS NOT NULL
	GROUP BY type;

ANALYZE bank.calls, bank.patience_curves;

-- Drawn by inverse transform. The patience of a caller who was answered is one that exceeds the real
-- wait: its share of the curve is scaled to begin there. A caller who waited as long as anyone ever
-- did has no curve left, and leaves at that moment.
UPDATE bank.calls AS c SET
	patience = CASE WHEN NOT c.answered THEN c.wait
		ELSE coalesce((SELECT p.wait FROM bank.patience_curves AS p
			WHERE p.type = c.type
			AND p.survival <= bank.uniform(seed, c.record, 'patience') * exceeding.share
			AND exceeding.share > 0
			ORDER BY p.survival DESC, p.wait LIMIT 1), c.wait) END,
	service = CASE WHEN c.answered AND c.service_start IS NOT NULL
			THEN extract(epoch FROM c.service_end - c.service_start)
		ELSE t.seconds[1 + floor(bank.uniform(seed, c.record, 'service') * cardinality(t.seconds))] END
	FROM bank.settings, bank.calls AS same JOIN bank.service_times AS t USING (type),
		LATERAL (SELECT CASE WHEN same.queued THEN (SELECT p.survival FROM bank.patience_curves AS p
				WHERE p.type = same.type AND p.wait = same.wait)
			ELSE 1 END AS share) AS exceeding
	WHERE same.record = c.record AND c.left_out IS NULL;

COMMIT;
VACUUM ANALYZE bank.calls;
