-- -------------------------------------------------------------- task queue
CREATE FUNCTION kin_tr._task_queue_event(event_type text, q kin_tr.task_queues) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, q.workspace_sid, q.sid,
        jsonb_build_object('task_queue_name', q.friendly_name,
                           'task_queue_target_expression', q.target_workers),
        task_queue => q.sid)
$$;

-- An error where the expression does not parse; told is what it will hardly be meant to do.
CREATE FUNCTION kin_tr._check_target_workers(expression text, task_queue text, workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    names text[] := kin_tr._check_expression(expression);
BEGIN
    IF btrim(expression, E' \t\r\n') = '' THEN
        RAISE NOTICE 'task queue "%" has no workers, for target_workers is empty', task_queue
            USING HINT = 'Write 1==1 for all workers.';
    ELSIF cardinality(names) > 0
          AND NOT EXISTS (SELECT FROM kin_tr.workers w WHERE w.workspace_sid = workspace AND w.attributes ?& names) THEN
        RAISE NOTICE 'target_workers compares attributes that no worker has together: %', array_to_string(names, ', ')
            USING HINT = 'Put quotes around what is a text, as in skills HAS "billing".';
    END IF;
END $$;

CREATE FUNCTION kin_tr._create_task_queue(friendly_name text, target_workers text, max_reserved_workers integer,
                                          task_order text, reservation_activity text,
                                          assignment_activity text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.task_queues;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    IF target_workers IS NULL THEN
        RAISE EXCEPTION 'target_workers must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Leave it out, or write 1==1, for all workers; an empty text is nobody.';
    END IF;
    PERFORM kin_tr._check_target_workers(target_workers, friendly_name, workspace);
    PERFORM kin_tr._check_range('max_reserved_workers', max_reserved_workers, 1, 50);
    PERFORM kin_tr._check_choice('task_order', task_order, ARRAY['FIFO', 'LIFO']);
    IF EXISTS (SELECT FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace AND q.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('task queue', friendly_name);
    END IF;
    PERFORM kin_tr._hold_workspace(workspace);
    INSERT INTO kin_tr.task_queues (sid, workspace_sid, friendly_name, target_workers, max_reserved_workers,
                                    task_order, reservation_activity_sid, assignment_activity_sid,
                                    date_created, date_updated)
    VALUES (kin_tr._new_sid('WQ'), workspace, friendly_name, target_workers,
            coalesce(max_reserved_workers, 1), coalesce(task_order, 'FIFO'),
            kin_tr._hold_activity(reservation_activity, workspace),
            kin_tr._hold_activity(assignment_activity, workspace), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    PERFORM kin_tr._task_queue_event('task-queue.created', new);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._update_task_queue(task_queue text, friendly_name text, target_workers text,
                                          max_reserved_workers integer, task_order text,
                                          reservation_activity text, assignment_activity text,
                                          workspace kin_tr.sid, if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_queue kin_tr.sid := kin_tr._resolve('WQ', task_queue, workspace);
    old kin_tr.task_queues;
    this kin_tr.task_queues;
    task kin_tr.sid;
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.task_queues q
     WHERE q.sid = named_queue FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('task queue', old.sid, old.version, if_version);
    PERFORM kin_tr._check_target_workers(target_workers, coalesce(friendly_name, old.friendly_name), workspace);
    PERFORM kin_tr._check_range('max_reserved_workers', max_reserved_workers, 1, 50);
    PERFORM kin_tr._check_choice('task_order', task_order, ARRAY['FIFO', 'LIFO']);
    IF friendly_name <> old.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace AND q.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('task queue', friendly_name);
        END IF;
    END IF;
    -- Whoever creates a task meanwhile would give it the order's old keys.
    IF task_order <> old.task_order THEN
        PERFORM kin_tr._lock_for_delete(w.sid) FROM kin_tr.workflows w WHERE w.workspace_sid = workspace;
        PERFORM kin_tr._lock_for_delete(old.sid);
    END IF;
    this := old;
    this.friendly_name := coalesce(friendly_name, old.friendly_name);
    this.target_workers := coalesce(target_workers, old.target_workers);
    this.max_reserved_workers := coalesce(max_reserved_workers, old.max_reserved_workers);
    this.task_order := coalesce(task_order, old.task_order);
    this.reservation_activity_sid := coalesce(kin_tr._hold_activity(reservation_activity, workspace), old.reservation_activity_sid);
    this.assignment_activity_sid := coalesce(kin_tr._hold_activity(assignment_activity, workspace), old.assignment_activity_sid);
    IF this IS NOT DISTINCT FROM old THEN
        RETURN old.version;
    END IF;
    UPDATE kin_tr.task_queues q
       SET friendly_name = this.friendly_name, target_workers = this.target_workers,
           max_reserved_workers = this.max_reserved_workers, task_order = this.task_order,
           reservation_activity_sid = this.reservation_activity_sid,
           assignment_activity_sid = this.assignment_activity_sid,
           date_updated = kin_tr.now(), version = q.version + 1
     WHERE q.sid = old.sid RETURNING * INTO this;
    IF this.task_order <> old.task_order THEN
        FOR task IN SELECT t.sid FROM kin_tr.tasks t
                     WHERE t.task_queue_sid = old.sid AND t.group_key IS NOT NULL ORDER BY t.sid LOOP
            PERFORM kin_tr._regroup_task(task);
        END LOOP;
    END IF;
    PERFORM kin_tr._task_queue_event(CASE WHEN this.target_workers <> old.target_workers
                                          THEN 'task-queue.expression.updated' ELSE 'task-queue.updated' END, this);
    RETURN this.version;
END $$;

-- The SIDs of the queues that a workflow's configuration names.
CREATE FUNCTION kin_tr._queues_of(configuration jsonb) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT q #>> '{}' FROM jsonb_path_query(configuration, '$.task_routing.filters[*].targets[*].queue') q
    UNION
    SELECT configuration #>> '{task_routing,default_filter,queue}'
     WHERE configuration #> '{task_routing,default_filter,queue}' IS NOT NULL
$$;

-- May tasks still come into this queue by a workflow?
CREATE FUNCTION kin_tr._workflow_that_uses(queue kin_tr.sid, workspace kin_tr.sid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT w.friendly_name
      FROM kin_tr.workflows w JOIN kin_tr.workflow_versions v ON v.workflow_sid = w.sid
     WHERE w.workspace_sid = workspace
       AND (v.number = w.current_version
            OR EXISTS (SELECT FROM kin_tr.tasks t WHERE t.workflow_sid = w.sid
                          AND t.workflow_version = v.number AND t.finished_at IS NULL))
       AND queue::text IN (SELECT kin_tr._queues_of(v.configuration))
     LIMIT 1
$$;

CREATE FUNCTION kin_tr._delete_task_queue(task_queue text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_queue kin_tr.sid := kin_tr._resolve('WQ', task_queue, workspace);
    this kin_tr.task_queues;
    workflow text;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.task_queues q
     WHERE q.sid = named_queue FOR UPDATE;
    PERFORM kin_tr._check_version('task queue', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    -- Whoever creates a task just now may enter any version that there is.
    PERFORM kin_tr._lock_for_delete(w.sid) FROM kin_tr.workflows w
      WHERE w.workspace_sid = workspace
        AND this.sid::text NOT IN (SELECT kin_tr._queues_of(w.configuration))
        AND EXISTS (SELECT FROM kin_tr.workflow_versions v WHERE v.workflow_sid = w.sid
                       AND this.sid::text IN (SELECT kin_tr._queues_of(v.configuration)));
    workflow := kin_tr._workflow_that_uses(this.sid, workspace);
    IF workflow IS NOT NULL THEN
        PERFORM kin_tr._refuse_in_use('task queue', this.friendly_name, format('workflow "%s"', workflow),
                                      'Take it out of the workflow first; tasks stay in the version that they entered.');
    ELSIF EXISTS (SELECT FROM kin_tr.tasks t WHERE t.task_queue_sid = this.sid AND t.finished_at IS NULL) THEN
        PERFORM kin_tr._refuse_in_use('task queue', this.friendly_name, 'an open task',
                                      'Let its tasks end first, or cancel them.');
    END IF;
    PERFORM kin_tr._move_to_history(this.sid, NULL, NULL);
    DELETE FROM kin_tr.task_queues q WHERE q.sid = this.sid;
    PERFORM kin_tr._task_queue_event('task-queue.deleted', this);
END $$;
