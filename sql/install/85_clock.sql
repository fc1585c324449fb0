CREATE FUNCTION kin_tr._require_owner(what text) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_require_owner'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr.set_clock(now timestamptz, force boolean DEFAULT false) RETURNS timestamptz
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._set_clock(now timestamptz, force boolean) RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    is_set boolean := kin_tr._clock_is_set();
    -- From real time on, "set_clock(now())" must do, whose now() is a moment ago.
    was timestamptz := CASE WHEN is_set THEN kin_tr.now() ELSE transaction_timestamp() END;
    in_use boolean := EXISTS (SELECT FROM kin_tr.workers) OR EXISTS (SELECT FROM kin_tr.tasks);
BEGIN
    IF now IS NULL THEN
        IF is_set AND NOT force AND EXISTS (SELECT FROM kin_tr.tasks t WHERE t.finished_at IS NULL) THEN
            RAISE EXCEPTION 'the clock cannot return to real time while tasks are open'
                USING ERRCODE = 'KT011', HINT = 'One jump would time them all out. Finish them, or give force => true.';
        ELSIF is_set AND NOT force AND in_use AND was > clock_timestamp() THEN
            RAISE EXCEPTION 'the clock cannot return to real time from the future'
                USING ERRCODE = 'KT011', HINT = 'Give force => true to do it all the same.';
        END IF;
    ELSIF now NOT BETWEEN '1900-01-01 00:00:00Z' AND '9999-12-31 00:00:00Z' THEN
        RAISE EXCEPTION 'the clock must be between the years 1900 and 9999: %', now
            USING ERRCODE = 'invalid_parameter_value', HINT = 'set_clock(NULL) returns to real time.';
    ELSIF now < was AND in_use THEN
        RAISE EXCEPTION 'the clock does not go back: it is %, and you ask for %', was, now
            USING ERRCODE = 'KT011', HINT = 'It starts anywhere while no worker or task exists.';
    END IF;
    PERFORM kin_tr._store_clock(now);
    PERFORM kin_tr._wake();
    RETURN kin_tr.now();
END $$;
COMMENT ON FUNCTION kin_tr.set_clock(timestamptz, boolean) IS
'Makes kin_tr''s clock stand at a moment, for tests: router and relay pause in this database, and tick() alone acts.
It may start anywhere while no worker or task exists, and never goes back after that. NULL returns to real time;
refused while tasks are open, or from the future, unless force, for all that is due by then would time out at once.
Returns the time that kin_tr goes by now. Error KT011. Only for the owner.';
