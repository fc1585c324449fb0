-- The expression language to users: evaluate_expression() and validate_workflow().
SELECT kin_tr.set_clock('2026-01-05 09:00Z') IS NOT NULL AS clock_set;
SELECT kin_tr.create_workspace('expression') IS NOT NULL AS created;
SET kin_tr.workspace = 'expression';

-- The vectors of TaskRouter's documentation, by their numbers.
CREATE TABLE test.vectors (n integer, expression text, task jsonb, worker jsonb, workers jsonb, at timestamptz, expected boolean);
INSERT INTO test.vectors VALUES
    (1, '1 == 1', '{}', NULL, NULL, NULL, true),
    (2, '0 != 1', '{}', NULL, NULL, NULL, true),
    (3, '"apple" != "orange"', '{}', NULL, NULL, NULL, true),
    (4, 'key > 1', '{"key":2}', NULL, NULL, NULL, true),
    (5, 'key > 1', '{"key":1}', NULL, NULL, NULL, false),
    (6, 'object.param != "apple"', '{"object":{"param":"pear"}}', NULL, NULL, NULL, true),
    (7, 'language IN ["en", "es"]', '{"language":"es"}', NULL, NULL, NULL, true),
    (8, 'language IN ["en", "es"]', '{"language":"fr"}', NULL, NULL, NULL, false),
    (9, '(condition_a == true) OR (condition_b == true)', '{"condition_a":false,"condition_b":true}', NULL, NULL, NULL, true),
    (10, '(language == "en" OR language == "fr") AND skill_rating >= 5.1', '{"language":"fr","skill_rating":5.1}', NULL, NULL, NULL, true),
    (11, '(language == "en" OR language == "fr") AND skill_rating >= 5.1', '{"language":"fr","skill_rating":5}', NULL, NULL, NULL, false),
    (12, $$(skills HAS 'support') AND (languages HAS 'english')$$, NULL, '{"skills":["support","sales"],"languages":["english"]}', NULL, NULL, true),
    (13, $$(skills HAS 'support') AND (languages HAS 'english')$$, NULL, '{"skills":["sales"],"languages":["spanish","english"]}', NULL, NULL, false),
    (14, $$customer_value == 'Gold' AND type == 'ticket'$$, '{"customer_value":"Gold","type":"ticket"}', NULL, NULL, NULL, true),
    (15, 'object.array[2] == "c"', '{"object":{"array":["a","b","c"]}}', NULL, NULL, NULL, true),
    (16, 'object.attr == "bar"', '{"object":{"attr":"bar"}}', NULL, NULL, NULL, true),
    (17, 'preferred_agents != null', '{}', NULL, NULL, NULL, false),
    (18, 'preferred_agents != null', '{"preferred_agents":"a1"}', NULL, NULL, NULL, true),
    (19, 'preferred_agents != null', '{"preferred_agents":["agent01"]}', NULL, NULL, NULL, true),
    (20, 'worker.id IN task.preferred_agents', '{"preferred_agents":["agent01","agent04"]}', '{"id":"agent04"}', NULL, NULL, true),
    (21, 'worker.id IN task.preferred_agents', '{}', '{"id":"agent04"}', NULL, NULL, false),
    (22, 'task.requested_agent==worker.agent_id', '{"requested_agent":"g1"}', '{"agent_id":"g1"}', NULL, NULL, true),
    (23, 'task.required_language IN worker.spoken_languages', '{"required_language":"fr"}', '{"spoken_languages":["en","fr"]}', NULL, NULL, true),
    (24, 'level HAS "support"', NULL, '{"level":3}', NULL, NULL, false),
    (26, 'skills == "support"', '{"skills":["support"]}', NULL, NULL, NULL, false),
    (27, 'skills != "support"', '{"skills":["sales"]}', NULL, NULL, NULL, false),
    (28, 'department HAS "billing"', '{"department":"billing"}', NULL, NULL, NULL, false),
    (29, 'language IN "en"', '{"language":"en"}', NULL, NULL, NULL, false),
    (30, 'language NOT IN ["en"]', '{"language":"fr"}', NULL, NULL, NULL, true),
    (31, 'language NOT IN ["en"]', '{"language":"en"}', NULL, NULL, NULL, false),
    (32, 'language NOT IN ["en"]', '{}', NULL, NULL, NULL, true),
    (33, 'name CONTAINS "mit"', '{"name":"smith"}', NULL, NULL, NULL, true),
    (34, 'name CONTAINS "x"', '{"name":"smith"}', NULL, NULL, NULL, false),
    (35, 'skills CONTAINS "support"', '{"skills":["support"]}', NULL, NULL, NULL, false),
    (36, $$type = 'x'$$, '{"type":"x"}', NULL, NULL, NULL, true),
    (37, 'tech_support_skill > 5', '{"tech_support_skill":"6"}', NULL, NULL, NULL, true),
    (38, 'tech_support_skill < 5', '{"tech_support_skill":5}', NULL, NULL, NULL, false),
    (39, $$worker.activity_name in ['Generally Available']$$, NULL, '{"activity_name": "Generally Available"}', NULL, NULL, true),
    (40, 'worker.channel.voice.available_capacity_percentage == 100', NULL, '{"channel": {"voice": {"configured_capacity": 1, "assigned_tasks": 0, "available_capacity_percentage": 100}}}', NULL, NULL, true),
    (41, 'worker.channel.voice.available_capacity_percentage == 100', NULL, '{"channel": {"voice": {"configured_capacity": 1, "assigned_tasks": 0, "available_capacity_percentage": 0}}}', NULL, NULL, false),
    (42, 'worker.channel.chat.assigned_tasks <= 1', NULL, '{"channel": {"chat": {"configured_capacity": 3, "assigned_tasks": 2, "available_capacity_percentage": 33}}}', NULL, NULL, false),
    (43, 'workers.available == 0', NULL, NULL, '{"available": 0}', NULL, true),
    (44, 'workers.WA00000000000000000000000000000001 < 2 OR workers.WA00000000000000000000000000000002 < 2', NULL, NULL, '{"WA00000000000000000000000000000001": 5, "WA00000000000000000000000000000002": 1}', NULL, true),
    (45, 'taskrouter.currentTime > 0800 AND taskrouter.currentTime < 1830', NULL, NULL, NULL, '2026-01-05 12:00Z', true),
    (46, 'taskrouter.currentHour > 8', NULL, NULL, NULL, '2026-01-05 09:30Z', true),
    (47, $$taskrouter.dayOfWeek IN ['Mon','Tue']$$, NULL, NULL, NULL, '2026-01-06 12:00Z', true),
    (48, 'missing == "x"', '{}', NULL, NULL, NULL, false),
    (49, 'missing > 1', '{}', NULL, NULL, NULL, false),
    (50, 'missing == null', '{}', NULL, NULL, NULL, true),
    (51, '"1" == 1', '{}', NULL, NULL, NULL, true),
    (52, 'a == 1 OR b == 1 AND c == 1', '{"a":1,"b":0,"c":0}', NULL, NULL, NULL, true),
    (53, 'true == true', '{}', NULL, NULL, NULL, true),
    (54, 'skills >- "support"', NULL, '{"skills":["support"]}', NULL, NULL, true),
    (55, 'language <- ["en"]', '{"language":"en"}', NULL, NULL, NULL, true),
    (57, 'a.b.c == 1', '{"a":{"b":3}}', NULL, NULL, NULL, false),
    (58, 'arr[9] == "x"', '{"arr":["x"]}', NULL, NULL, NULL, false),
    (61, $$name == "O'Neil"$$, $${"name":"O'Neil"}$$, NULL, NULL, NULL, true),
    (62, 'manual == 1 AND channel == "chat"', '{"manual":1,"channel":"chat"}', NULL, NULL, NULL, true),
    (63, '[1,2] HAS 2', '{}', NULL, NULL, NULL, true),
    (64, 'numbers HAS 2', '{"numbers":["2"]}', NULL, NULL, NULL, false);
SELECT n, expression, kin_tr.evaluate_expression(expression, task, worker, workers, at) AS result,
       CASE WHEN kin_tr.evaluate_expression(expression, task, worker, workers, at) = expected THEN 'ok' ELSE 'WRONG' END AS verdict
  FROM test.vectors ORDER BY n;
SELECT count(*) + 4 AS vectors FROM test.vectors;

-- The other four do not parse; the position counts characters, not bytes.
-- 25
CALL test.refused($call$SELECT kin_tr.evaluate_expression($e$skill-level > 3$e$, '{}')$call$);
-- 56
CALL test.refused($call$SELECT kin_tr.evaluate_expression($e$vip$e$, '{}')$call$);
-- 59
CALL test.refused($call$SELECT kin_tr.evaluate_expression($e$type == 'Sales$e$, '{}')$call$);
-- 60
CALL test.refused($call$SELECT kin_tr.evaluate_expression($e$(type == 'a'$e$, '{}')$call$);
CALL test.refused($call$SELECT kin_tr.evaluate_expression($e$name == "ä€😀" AND AND$e$, '{}')$call$);

-- whose a bare name is: of the only subject given; with both, the task's
SELECT kin_tr.evaluate_expression('x == 1', '{"x": 1}') AS tasks,
       kin_tr.evaluate_expression('x == 2', worker => '{"x": 2}') AS workers,
       kin_tr.evaluate_expression('x == 1', '{"x": 1}', '{"x": 2}') AS of_both_the_tasks,
       kin_tr.evaluate_expression('x == null') AS of_none;
SELECT kin_tr.evaluate_expression('task.x == 1 AND worker.x == 2', '{"x": 1}', '{"x": 2}') AS with_prefix;
-- a worker alone is what a queue sees
SELECT kin_tr.evaluate_expression('worker.skills HAS "fr" AND skills HAS "fr"', worker => '{"skills": ["fr"]}') AS queue;
-- an attribute called task or worker stays one
SELECT kin_tr.evaluate_expression('task == "t"', '{"task": "t"}') AS attribute, kin_tr.evaluate_expression('task.task.x == 1', '{"task": {"x": 1}}') AS behind_prefix;
SELECT kin_tr.evaluate_expression(NULL, '{}') IS NULL AS null_is_null;

-- the moment is kin_tr's clock's, unless given: 2026-01-05 09:00 UTC, a Monday, whatever the time zone
SET timezone = 'Asia/Tokyo';
SELECT kin_tr.evaluate_expression('taskrouter.currentTime == 0900 AND taskrouter.currentHour == "09" AND taskrouter.currentMin == "00" AND taskrouter.dayOfWeek == "Mon"', '{}') AS now;
SELECT at, kin_tr.evaluate_expression('taskrouter.currentTime == 2359 AND taskrouter.dayOfWeek == "Sun" AND taskrouter.currentMin == 59', '{}', at => at::timestamptz) AS result
  FROM (VALUES ('2026-01-04 23:59:59.9Z'), ('2026-01-05 00:00Z'), ('1999-02-28 23:59Z')) t(at);
RESET timezone;

-- numbers keep all their digits
SELECT kin_tr.evaluate_expression('id == 123456789012345678', '{"id": 123456789012345678}') AS same,
       kin_tr.evaluate_expression('id == 123456789012345679', '{"id": 123456789012345678}') AS next,
       kin_tr.evaluate_expression('id > 99999999999999999999', '{"id": 100000000000000000000}') AS beyond_64_bits,
       kin_tr.evaluate_expression('x == 0.10', '{"x": 0.1}') AS scale,
       kin_tr.evaluate_expression('x == 1e3', '{"x": 1000}') AS exponent,
       kin_tr.evaluate_expression('x == -5 AND x < 0', '{"x": -5}') AS negative;

-- words of the language in any case, names in theirs
SELECT kin_tr.evaluate_expression('a == 1 and (b == 2 Or c Has TRUE)', '{"a": 1, "c": [true]}') AS words,
       kin_tr.evaluate_expression('Level == 1', '{"level": 1}') AS names;

-- one expression over many rows, and many expressions over one
SELECT string_agg(n::text, ',' ORDER BY n) FROM generate_series(1, 10) n
 WHERE kin_tr.evaluate_expression('n IN [2, 3, 5, 7]', jsonb_build_object('n', n));
SELECT string_agg(n::text, ',' ORDER BY n) FROM generate_series(1, 10) n
 WHERE kin_tr.evaluate_expression('n > ' || n, '{"n": 4}');

-- what does not parse says where
CALL test.refused($$SELECT kin_tr.evaluate_expression('', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1 AND', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a === 1', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1)', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == [1, 2', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a[x] == 1', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == b == c', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('NOT a == 1', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a + 1 == 2', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('taskrouter.noSuchThing == 1', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('workers.nobody == 1', '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1; DROP TABLE x', '{}')$$);
-- nested too deeply: refused, and the stack holds
CALL test.refused($$SELECT kin_tr.evaluate_expression(repeat('(', 10000) || '1==1' || repeat(')', 10000), '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('1 IN ' || repeat('[', 10000) || repeat(']', 10000), '{}')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1' || repeat(' AND a == 1', 10000), '{}')$$);
SELECT kin_tr.evaluate_expression(repeat('(', 60) || '1==1' || repeat(')', 60), '{}') AS deep_enough;

-- validate_workflow() tells every fault, and where it is
SELECT kin_tr.create_task_queue('Support') IS NOT NULL AS created;
SELECT * FROM kin_tr.validate_workflow('{"task_routing": {"default_filter": {"queue": "Support"}}}');
SELECT * FROM kin_tr.validate_workflow('{"task_routing": {"filters": [{"filter_friendly_name": "all", "expression": "1==1", "targets": [
    {"queue": "Support", "priority": "10", "timeout": "30", "expression": "task.a == worker.b", "order_by": "worker.x DESC, worker.y ASC", "skip_if": "workers.available == 0", "known_worker_sid": "task.agent"},
    {"timeout": 5, "known_worker_friendly_name": "task.agent", "unknown_key": [1, 2]}]}]}}');
SELECT place, message, hint FROM kin_tr.validate_workflow('[]');
SELECT place, message FROM kin_tr.validate_workflow('{}');
SELECT place, message FROM kin_tr.validate_workflow('{"task_routing": []}');
SELECT place, message FROM kin_tr.validate_workflow('{"task_routing": {}}');
SELECT place, message FROM kin_tr.validate_workflow('{"task_routing": {"filters": {}}}');
SELECT place, message FROM kin_tr.validate_workflow('{"task_routing": {"filters": []}}');
SELECT place, message FROM kin_tr.validate_workflow('{"task_routing": {"filters": ["x", {"targets": []}, {"expression": 5, "targets": {}}]}}');
SELECT * FROM kin_tr.validate_workflow('{"task_routing": {"filters": [
    {"expression": "type == ", "targets": [{"queue": "Nowhere", "priority": -1, "timeout": 0}, 7,
     {"expression": "skill > 1", "skip_if": "task.x == 1", "order_by": "worker.x", "known_worker_sid": "worker.y"}]},
    {"expression": "worker.x == 1", "targets": [{"priority": 1.5, "timeout": "soon"}, {"queue": 3, "known_worker_sid": "task.a", "known_worker_friendly_name": "task.b"}]}],
    "default_filter": {"queue": "Nowhere", "priority": 2147483648, "expression": "worker.x =="}}}');
-- a position counts characters here too
SELECT place, "position" FROM kin_tr.validate_workflow('{"task_routing": {"filters": [{"expression": "name == \"ä€😀\" AND AND", "targets": [{"queue": "Support"}]}]}}');
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"filters": [{"expression": "name == \"ä€😀\" AND AND", "targets": [{"queue": "Support"}]}]}}')$$);
-- limits of numbers
SELECT place FROM kin_tr.validate_workflow('{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "Support", "priority": 2147483647, "timeout": 1209600}, {"timeout": 1209601}, {"timeout": 1e10}, {"priority": "1e1"}, {"priority": null}, {"priority": true}]}]}}');
-- where no workspace can be told, queues are not looked up
SELECT kin_tr.create_workspace('expression, too') IS NOT NULL AS created;
RESET kin_tr.workspace;
SELECT * FROM kin_tr.validate_workflow('{"task_routing": {"default_filter": {"queue": "Nowhere"}}}');
SELECT place, message FROM kin_tr.validate_workflow('{"task_routing": {"default_filter": {"queue": "Nowhere"}}}', 'expression');
CALL test.refused($$SELECT kin_tr.validate_workflow(NULL)$$);

-- a name that could never have a value where it stands is refused there
SET kin_tr.workspace = 'expression';
SELECT e, (SELECT string_agg(message || coalesce(' at ' || position, ''), '; ') FROM kin_tr.validate_workflow(jsonb_build_object('task_routing',
           jsonb_build_object('filters', jsonb_build_array(jsonb_build_object('expression', e, 'targets', '[{"queue": "Support"}]'::jsonb)))))) AS as_filter
  FROM (VALUES ('type == 1'), ('task.type == 1'), ('worker.type == 1'), ('workers.available == 1'), ('taskrouter.currentTime > 1'), ('worker.channel.voice.assigned_tasks == 0')) t(e);
SELECT e, (SELECT string_agg(message || coalesce(' at ' || position, ''), '; ') FROM kin_tr.validate_workflow(jsonb_build_object('task_routing',
           jsonb_build_object('default_filter', jsonb_build_object('queue', 'Support', 'expression', e))))) AS as_target
  FROM (VALUES ('type == 1'), ('task.type == 1'), ('worker.type == 1'), ('workers.available == 1'), ('taskrouter.currentTime > 1'), ('worker.channel.voice.assigned_tasks == 0'), ('worker.channel.voice.nonsense == 0')) t(e);
SELECT e, (SELECT string_agg(message || coalesce(' at ' || position, ''), '; ') FROM kin_tr.validate_workflow(jsonb_build_object('task_routing',
           jsonb_build_object('default_filter', jsonb_build_object('queue', 'Support', 'skip_if', e))))) AS as_skip_if
  FROM (VALUES ('type == 1'), ('task.type == 1'), ('worker.type == 1'), ('workers.available == 1'), ('taskrouter.currentTime > 1'), ('workers.WA00000000000000000000000000000001 > 1'), ('workers.unavailable > 1')) t(e);

DROP TABLE test.vectors;
SELECT kin_tr.delete_workspace('expression'), kin_tr.delete_workspace('expression, too');
