-- The weekly partitions that a full retention leaves behind, this week's included, as if kin_tr had run
-- here for so long. Each is made like the default one, with its key and indexes. To be run before the
-- first workspace is made: then nothing has been recorded, and kin_tr makes those of the weeks to come.
DO $$
DECLARE
	parent text;
	week timestamptz;
	name text;
BEGIN
	FOREACH parent IN ARRAY ARRAY['events', 'task_history', 'reservation_history'] LOOP
		week := date_trunc('week', now(), 'UTC');
		WHILE week + interval '1 week' > now() - make_interval(days => current_setting(
				CASE parent WHEN 'events' THEN 'kin_tr.event_retention' ELSE 'kin_tr.history_retention' END)::integer) LOOP
			name := kin_tr._partition_name(parent, (week AT TIME ZONE 'UTC')::date);
			EXECUTE format('CREATE TABLE kin_tr.%I (LIKE kin_tr.%I INCLUDING ALL)', name, parent || '_default');
			EXECUTE format('ALTER TABLE kin_tr.%I ATTACH PARTITION kin_tr.%I FOR VALUES FROM (%L) TO (%L)',
						   parent, name, week, week + interval '1 week');
			week := week - interval '1 week';
		END LOOP;
	END LOOP;
END $$;
