-- A queue whom all workers fit, and two workflows: one looks at a value that task and worker share, one
-- compares what no value ties.
SELECT kin_tr.create_workspace('bench');
SELECT kin_tr.create_task_queue('all', '1 == 1');
SELECT kin_tr.create_workflow('tied', '{"task_routing": {"filters": [{"expression": "1 == 1", "targets": [{"queue": "all", "expression": "task.skill IN worker.skills"}]}]}}');
SELECT kin_tr.create_workflow('untied', '{"task_routing": {"filters": [{"expression": "1 == 1", "targets": [{"queue": "all", "expression": "worker.level > task.level"}]}]}}');
SELECT kin_tr.create_worker('w' || n, '{"level": 0, "skills": []}', 'Offline') FROM generate_series(1, 100) n;
SELECT * FROM kin_tr.maintain();
