-- Two workspaces. Mine has a worker who has room for all; Theirs has 101 workers, not yet available, and
-- :tasks tasks that wait for them.
SELECT kin_tr.setup_workspace('Mine');
SELECT kin_tr.create_worker('mine', activity => 'Available', workspace => 'Mine');
SELECT kin_tr.update_worker_channel('mine', 'default', 30000, workspace => 'Mine');
SELECT kin_tr.setup_workspace('Theirs');
SELECT kin_tr.create_task_queue('theirs', '1 == 1', workspace => 'Theirs');
SELECT kin_tr.create_workflow('theirs', '{"task_routing": {"default_filter": {"queue": "theirs"}}}', task_reservation_timeout => 86400, workspace => 'Theirs');
SELECT count(kin_tr.create_worker('theirs' || n, activity => 'Offline', workspace => 'Theirs')) FROM generate_series(0, 100) AS n;
SELECT count(kin_tr.create_task(workflow => 'theirs', workspace => 'Theirs')) FROM generate_series(1, :tasks);
SELECT * FROM kin_tr.maintain();
