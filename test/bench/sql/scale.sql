-- A centre to scale: 100 departments, each a queue; a task asks for a skill and a level, 10 combinations in
-- each department and so 1,000 of them; one task in a hundred asks for a known worker instead. :workers
-- workers with a capacity of 1, each in one department with two of its five skills.
SELECT kin_tr.create_workspace('bench');
SELECT count(kin_tr.create_task_queue('q' || d, format('department == "d%s"', d))) FROM generate_series(0, 99) AS d;
SELECT kin_tr.create_workflow('all', jsonb_build_object('task_routing', jsonb_build_object('filters', jsonb_agg(filter ORDER BY known DESC, d))))
  FROM generate_series(0, 99) AS d, (VALUES (true), (false)) AS both_kinds (known),
	   LATERAL (SELECT jsonb_build_object(
			'expression', format('department == "d%s"', d) || CASE WHEN known THEN ' AND agent != null' ELSE '' END,
			'targets', jsonb_build_array(jsonb_build_object('queue', 'q' || d)
				|| CASE WHEN known THEN '{"known_worker_friendly_name": "task.agent"}'::jsonb
				   ELSE '{"expression": "task.skill IN worker.skills AND worker.level >= task.level"}'::jsonb END)) AS filter) AS f;

CREATE SCHEMA bench;

-- Attributes of worker n and of task n. Every department has every combination, in either's order.
CREATE FUNCTION bench.worker(n integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('department', 'd' || n % 100, 'level', 1 + (n / 5 + n / 100) % 2,
							  'skills', jsonb_build_array('s' || (n + n / 100) % 5, 's' || (n + n / 100 + 1) % 5))
$$;
CREATE FUNCTION bench.task(n integer, workers integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN n % 101 = 0
		   THEN jsonb_build_object('department', 'd' || n % 100, 'agent', 'w' || (n % 100 + 100 * (n / 100 % (workers / 100))))
		   ELSE jsonb_build_object('department', 'd' || n % 100, 'skill', 's' || n / 100 % 5, 'level', 1 + n / 500 % 2) END
$$;

SELECT count(kin_tr.create_worker('w' || n, bench.worker(n), 'Available')) FROM generate_series(0, :workers - 1) AS n;
SELECT * FROM kin_tr.maintain();
