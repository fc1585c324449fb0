-- The month, replayed on kin_tr's own clock as a discrete-event simulation: take the next thing that
-- happens, set the clock to its moment, tell kin_tr, let it route. The agents here answer at once.
--
-- What happens at the same second happens in the order of the turns below; then kin_tr routes, and
-- only a caller whom it has not given an agent hangs up. So an agent who leaves takes no call of
-- that second, one who comes or hangs up takes one, and a call that comes at the second in which an
-- agent is free is not kept waiting.

CREATE TABLE bank.turns (turn, what) AS VALUES
	(1, 'agent leaves'), (2, 'service ends'), (3, 'agent comes'), (4, 'call arrives'), (5, 'caller hangs up');

-- What is yet to happen. An agent is meant by its number, a call by its record's. Autovacuum stays
-- out of these two tables: statistics that it took while one of them was nearly empty would have
-- every later look scan the whole of it.
CREATE TABLE bank.agenda (
	at		timestamptz,
	turn	integer,
	who		integer,
	PRIMARY KEY (at, turn, who)
) WITH (autovacuum_enabled = off);

CREATE TABLE bank.outcomes (
	record		integer PRIMARY KEY,
	task_sid	kin_tr.sid NOT NULL UNIQUE,
	hangs_up_at	timestamptz NOT NULL,
	agent		integer,				-- who answered, at once after the reservation
	answered_at	timestamptz,
	ended_at	timestamptz
) WITH (autovacuum_enabled = off);

CREATE PROCEDURE bank.replay_day(reading text, today date) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	clock		timestamptz := '-infinity';
	event		bank.agenda;
	call		record;
	reserved	record;
	outcome		bank.outcomes;
	waiting		integer := 0;			-- calls that have no agent yet
	unrouted	boolean := false;		-- something happened that may lead to an assignment
	steps		integer := 0;
	present		boolean[] := array_fill(false, ARRAY[(SELECT max(number) FROM bank.agents)]);
	serving		boolean[] := present;
	online		boolean[] := present;	-- as kin_tr knows it
	workers		kin_tr.sid[] := (SELECT array_agg(worker_sid ORDER BY number) FROM bank.agents);
BEGIN
	TRUNCATE bank.agenda;
	INSERT INTO bank.agenda
		SELECT arrival, 4, record FROM bank.calls WHERE day = today AND left_out IS NULL;
	INSERT INTO bank.agenda
		SELECT CASE turn WHEN 1 THEN upper(stay) ELSE lower(stay) END, turn, number
		FROM bank.presence AS p JOIN bank.agents AS a ON a.name = p.agent, unnest(present) AS stay,
			(VALUES (1), (3)) AS both_ends (turn)
		WHERE p.reading = replay_day.reading AND p.day = today;
	ANALYZE bank.agenda;

	LOOP
		SELECT * INTO event FROM bank.agenda ORDER BY at, turn, who LIMIT 1;

		IF unrouted AND (event.at IS NULL OR event.at > clock OR event.turn = 5) THEN
			unrouted := false;
			CONTINUE WHEN (SELECT assigned FROM kin_tr.tick()) = 0;
			FOR reserved IN
				SELECT r.sid, r.task_sid, a.number AS agent
				FROM kin_tr.active_reservations() AS r JOIN bank.agents AS a USING (worker_sid)
				WHERE r.reservation_status = 'pending' ORDER BY r.sid
			LOOP
				PERFORM kin_tr.accept_reservation(reserved.sid);
				UPDATE bank.outcomes SET agent = reserved.agent, answered_at = clock
					WHERE task_sid = reserved.task_sid RETURNING * INTO outcome;
				DELETE FROM bank.agenda
					WHERE at = outcome.hangs_up_at AND turn = 5 AND who = outcome.record;
				INSERT INTO bank.agenda
					SELECT clock + make_interval(secs => service), 2, record
					FROM bank.calls WHERE record = outcome.record;
				serving[reserved.agent] := true;
				waiting := waiting - 1;
			END LOOP;
			CONTINUE;		-- what was planned just now may come first
		END IF;
		EXIT WHEN event.at IS NULL;

		-- Short transactions: a deleted row of the agenda is in the way of every look at it until
		-- its transaction has ended, and tick() reads what its own has done so far.
		steps := steps + 1;
		IF steps % 20 = 0 THEN
			COMMIT;
		END IF;

		DELETE FROM bank.agenda WHERE at = event.at AND turn = event.turn AND who = event.who;
		IF event.at > clock THEN
			clock := event.at;
			PERFORM kin_tr.set_clock(clock);
		END IF;

		CASE event.turn
		WHEN 1 THEN		-- agent leaves; one who serves a caller finishes with it first
			present[event.who] := false;
			IF NOT serving[event.who] THEN
				online[event.who] := false;
				PERFORM kin_tr.update_worker_activity(workers[event.who], 'Offline');
			END IF;
		WHEN 2 THEN		-- service ends
			UPDATE bank.outcomes SET ended_at = clock WHERE record = event.who RETURNING * INTO outcome;
			serving[outcome.agent] := false;
			IF NOT present[outcome.agent] THEN
				online[outcome.agent] := false;
				PERFORM kin_tr.update_worker_activity(workers[outcome.agent], 'Offline');
			END IF;
			PERFORM kin_tr.complete_task(outcome.task_sid, reason => 'served');
			unrouted := unrouted OR waiting > 0;
		WHEN 3 THEN		-- agent comes
			present[event.who] := true;
			IF NOT online[event.who] THEN
				online[event.who] := true;
				PERFORM kin_tr.update_worker_activity(workers[event.who], 'Available');
			END IF;
			unrouted := unrouted OR waiting > 0;
		WHEN 4 THEN		-- call arrives; the bank gave priority callers 90 seconds of waiting
			SELECT * INTO call FROM bank.calls WHERE record = event.who;
			INSERT INTO bank.outcomes (record, task_sid, hangs_up_at) VALUES (call.record,
				kin_tr.create_task(jsonb_build_object('type', call.type, 'record', call.record),
					workflow => 'Calls',
					virtual_start_time => clock - CASE call.priority WHEN 2 THEN interval '90 s' ELSE interval '0' END),
				clock + make_interval(secs => call.patience));
			INSERT INTO bank.agenda VALUES (clock + make_interval(secs => call.patience), 5, call.record);
			waiting := waiting + 1;
			unrouted := true;
		WHEN 5 THEN		-- caller hangs up
			UPDATE bank.outcomes SET ended_at = clock WHERE record = event.who RETURNING * INTO outcome;
			PERFORM kin_tr.cancel_task(outcome.task_sid, 'hung up');
			waiting := waiting - 1;
		END CASE;
	END LOOP;
	PERFORM kin_tr.maintain();		-- while the clock is set, no router moves what is finished
	COMMIT;
END
$$;
