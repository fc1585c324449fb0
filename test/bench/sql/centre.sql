-- A small centre: one queue, a workflow that looks at the task and at the worker, :workers workers named
-- w0, w1 ... with a capacity of :capacity in the channel "default", all of whom fit every task.
SELECT kin_tr.create_workspace('bench');
SELECT kin_tr.create_task_queue('billing', 'skills HAS "billing"');
SELECT kin_tr.create_workflow('calls', '{"task_routing": {
	"filters": [{"expression": "type == ''inbound''", "targets": [{"queue": "billing", "expression": "task.language IN worker.languages"}]}],
	"default_filter": {"queue": "billing"}}}');
SELECT kin_tr.create_worker('w' || i, '{"skills": ["sales", "support", "billing"], "languages": ["en", "de", "pt"], "level": 7}', 'Available')
	FROM generate_series(0, :workers - 1) AS i;
SELECT kin_tr.update_worker_channel('w' || i, 'default', :capacity) FROM generate_series(0, :workers - 1) AS i;
SELECT * FROM kin_tr.maintain();
