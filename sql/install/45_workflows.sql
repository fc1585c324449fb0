-- ---------------------------------------------------------------- workflow
CREATE FUNCTION kin_tr._workflow_event(event_type text, w kin_tr.workflows) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, w.workspace_sid, w.sid,
        jsonb_build_object('workflow_name', w.friendly_name), workflow => w.sid)
$$;

CREATE FUNCTION kin_tr._create_workflow(friendly_name text, configuration jsonb, task_reservation_timeout integer,
                                        assignment_callback_url text, fallback_assignment_callback_url text,
                                        default_priority integer, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.workflows;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_range('task_reservation_timeout', task_reservation_timeout, 1, 86400);
    PERFORM kin_tr._check_range('default_priority', default_priority, 0, 2147483647);
    IF configuration IS NULL THEN
        RAISE EXCEPTION 'configuration must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Write {"task_routing": {"filters": [...], "default_filter": {...}}}.';
    ELSIF EXISTS (SELECT FROM kin_tr.workflows w WHERE w.workspace_sid = workspace AND w.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('workflow', friendly_name);
    END IF;
    PERFORM kin_tr._hold_workspace(workspace);
    INSERT INTO kin_tr.workflows (sid, workspace_sid, friendly_name, configuration, assignment_callback_url,
                                  fallback_assignment_callback_url, task_reservation_timeout,
                                  default_priority, date_created, date_updated)
    VALUES (kin_tr._new_sid('WW'), workspace, friendly_name,
            kin_tr._normalize_workflow(configuration, workspace), assignment_callback_url,
            fallback_assignment_callback_url, coalesce(task_reservation_timeout, 120),
            coalesce(default_priority, 0), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    INSERT INTO kin_tr.workflow_versions VALUES (new.sid, workspace, 1, new.configuration, kin_tr.now());
    PERFORM kin_tr._workflow_event('workflow.created', new);
    RETURN new.sid;
END $$;

-- Once there are many versions, those that no task is in any more go.  To find
-- out reads all tasks, which is done once in so many updates, and only while
-- nobody creates one.
CREATE FUNCTION kin_tr._forget_versions(workflow kin_tr.sid, current_version integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF (SELECT count(*) FROM kin_tr.workflow_versions v WHERE v.workflow_sid = workflow) <= 32
       OR NOT kin_tr._try_lock_for_delete(workflow) THEN
        RETURN;
    END IF;
    DELETE FROM kin_tr.workflow_versions v
     WHERE v.workflow_sid = workflow AND v.number < current_version
       AND NOT EXISTS (SELECT FROM kin_tr.tasks t WHERE t.workflow_sid = workflow AND t.workflow_version = v.number);
END $$;

CREATE FUNCTION kin_tr._update_workflow(workflow text, friendly_name text, configuration jsonb,
                                        task_reservation_timeout integer, assignment_callback_url text,
                                        fallback_assignment_callback_url text, default_priority integer,
                                        re_evaluate_tasks boolean, workspace kin_tr.sid, if_version bigint)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_workflow kin_tr.sid := kin_tr._resolve('WW', workflow, workspace);
    old kin_tr.workflows;
    this kin_tr.workflows;
    task kin_tr.sid;
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.workflows w
     WHERE w.sid = named_workflow FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('workflow', old.sid, old.version, if_version);
    PERFORM kin_tr._check_range('task_reservation_timeout', task_reservation_timeout, 1, 86400);
    PERFORM kin_tr._check_range('default_priority', default_priority, 0, 2147483647);
    IF friendly_name <> old.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.workflows w WHERE w.workspace_sid = workspace AND w.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('workflow', friendly_name);
        END IF;
    END IF;
    this := old;
    this.friendly_name := coalesce(friendly_name, old.friendly_name);
    this.configuration := coalesce(kin_tr._normalize_workflow(configuration, workspace), old.configuration);
    this.task_reservation_timeout := coalesce(task_reservation_timeout, old.task_reservation_timeout);
    this.assignment_callback_url := coalesce(assignment_callback_url, old.assignment_callback_url);
    this.fallback_assignment_callback_url := coalesce(fallback_assignment_callback_url, old.fallback_assignment_callback_url);
    this.default_priority := coalesce(default_priority, old.default_priority);
    IF this.configuration <> old.configuration THEN
        this.current_version := old.current_version + 1;
        INSERT INTO kin_tr.workflow_versions
        VALUES (old.sid, workspace, this.current_version, this.configuration, kin_tr.now());
        PERFORM kin_tr._forget_versions(old.sid, this.current_version);
    END IF;
    IF re_evaluate_tasks THEN
        this.evaluated_version := this.current_version;
    END IF;
    IF this IS DISTINCT FROM old THEN
        UPDATE kin_tr.workflows w
           SET friendly_name = this.friendly_name, configuration = this.configuration,
               current_version = this.current_version, evaluated_version = this.evaluated_version, task_reservation_timeout = this.task_reservation_timeout,
               assignment_callback_url = this.assignment_callback_url,
               fallback_assignment_callback_url = this.fallback_assignment_callback_url,
               default_priority = this.default_priority, date_updated = kin_tr.now(), version = w.version + 1
         WHERE w.sid = old.sid RETURNING * INTO this;
        PERFORM kin_tr._workflow_event('workflow.updated', this);
    END IF;
    IF re_evaluate_tasks THEN
        FOR task IN SELECT t.sid FROM kin_tr.tasks t
                     WHERE t.workflow_sid = this.sid AND t.assignment_status = 'pending' ORDER BY t.sid LOOP
            PERFORM kin_tr._evaluate_task_again(task);
        END LOOP;
    END IF;
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_workflow(workflow text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_workflow kin_tr.sid := kin_tr._resolve('WW', workflow, workspace);
    this kin_tr.workflows;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.workflows w
     WHERE w.sid = named_workflow FOR UPDATE;
    PERFORM kin_tr._check_version('workflow', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    IF EXISTS (SELECT FROM kin_tr.tasks t WHERE t.workflow_sid = this.sid AND t.finished_at IS NULL) THEN
        PERFORM kin_tr._refuse_in_use('workflow', this.friendly_name, 'an open task',
                                      'Let its tasks end first, or cancel them.');
    END IF;
    PERFORM kin_tr._move_to_history(NULL, this.sid, NULL);
    DELETE FROM kin_tr.workflow_versions v WHERE v.workflow_sid = this.sid;
    DELETE FROM kin_tr.workflows w WHERE w.sid = this.sid;
    PERFORM kin_tr._workflow_event('workflow.deleted', this);
END $$;
