-- The bank's centre in kin_tr's terms: a task queue for each type of service, a worker for each
-- agent, and a workflow that sends a call to the queue of its type. The clock is set first, for it
-- may start anywhere only while nothing exists.

SELECT kin_tr.set_clock(first_day AT TIME ZONE 'UTC') FROM bank.settings;

-- With the activities that every workspace has, Available and Offline among them.
SELECT kin_tr.create_workspace('Bank');

CREATE TABLE bank.types (type, queue) AS VALUES
	('PS', 'Regular'),
	('PE', 'Regular in English'),
	('IN', 'Internet'),
	('NE', 'Stock exchange'),
	('NW', 'New customers');

SELECT kin_tr.create_task_queue(queue, format('skills HAS "%s"', type)) FROM bank.types;

SELECT kin_tr.create_workflow('Calls', jsonb_build_object('task_routing', jsonb_build_object('filters',
	jsonb_agg(jsonb_build_object(
		'filter_friendly_name', queue,
		'expression', format('type == "%s"', type),
		'targets', jsonb_build_array(jsonb_build_object('queue', queue)))))))
FROM bank.types;

UPDATE bank.agents SET worker_sid =
	kin_tr.create_worker(name, jsonb_build_object('skills', skills), 'Offline');
