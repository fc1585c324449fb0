-- ---------------------------------------------------------------- activity
CREATE FUNCTION kin_tr._activity_event(event_type text, a kin_tr.activities) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, a.workspace_sid, a.sid,
        jsonb_build_object('activity_sid', a.sid::text, 'activity_name', a.friendly_name,
                           'activity_available', a.available::text))
$$;

CREATE FUNCTION kin_tr._create_activity(friendly_name text, available boolean, workspace kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.activities;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    IF EXISTS (SELECT FROM kin_tr.activities a WHERE a.workspace_sid = workspace AND a.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('activity', friendly_name);
    END IF;
    PERFORM kin_tr._hold_workspace(workspace);
    INSERT INTO kin_tr.activities (sid, workspace_sid, friendly_name, available, date_created, date_updated)
    VALUES (kin_tr._new_sid('WA'), workspace, friendly_name, coalesce(available, false), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    PERFORM kin_tr._activity_event('activity.created', new);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._update_activity(activity text, friendly_name text, workspace kin_tr.sid, if_version bigint)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_activity kin_tr.sid := kin_tr._resolve('WA', activity, workspace);
    this kin_tr.activities;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.activities a
     WHERE a.sid = named_activity FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('activity', this.sid, this.version, if_version);
    IF friendly_name <> this.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.activities a WHERE a.workspace_sid = workspace AND a.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('activity', friendly_name);
        END IF;
    END IF;
    IF coalesce(friendly_name, this.friendly_name) = this.friendly_name THEN
        RETURN this.version;
    END IF;
    UPDATE kin_tr.activities a SET friendly_name = friendly_name,
           date_updated = kin_tr.now(), version = a.version + 1
     WHERE a.sid = this.sid RETURNING * INTO this;
    PERFORM kin_tr._activity_event('activity.updated', this);
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_activity(activity text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_activity kin_tr.sid := kin_tr._resolve('WA', activity, workspace);
    this kin_tr.activities;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.activities a
     WHERE a.sid = named_activity FOR UPDATE;
    PERFORM kin_tr._check_version('activity', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    PERFORM FROM kin_tr.workspaces w
      WHERE w.sid = workspace AND this.sid IN (w.default_activity_sid, w.timeout_activity_sid) FOR SHARE;
    IF FOUND THEN
        PERFORM kin_tr._refuse_in_use('activity', this.friendly_name, 'the workspace, as its default or time-out activity',
                                      'Name another one with update_workspace() first.');
    ELSIF EXISTS (SELECT FROM kin_tr.workers w WHERE w.activity_sid = this.sid) THEN
        PERFORM kin_tr._refuse_in_use('activity', this.friendly_name, 'a worker',
                                      'Move its workers to another one first.');
    ELSIF EXISTS (SELECT FROM kin_tr.task_queues q
                   WHERE this.sid IN (q.reservation_activity_sid, q.assignment_activity_sid)) THEN
        PERFORM kin_tr._refuse_in_use('activity', this.friendly_name, 'a task queue',
                                      'Name another one with update_task_queue() first.');
    END IF;
    DELETE FROM kin_tr.activities a WHERE a.sid = this.sid;
    PERFORM kin_tr._activity_event('activity.deleted', this);
END $$;
