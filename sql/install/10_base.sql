-- ---------------------------------------------------------------- base: sid
CREATE TYPE kin_tr.sid;

CREATE FUNCTION kin_tr._sid_in(cstring) RETURNS kin_tr.sid
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_in';
CREATE FUNCTION kin_tr._sid_out(kin_tr.sid) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_out';
CREATE FUNCTION kin_tr._sid_recv(internal) RETURNS kin_tr.sid
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_recv';
CREATE FUNCTION kin_tr._sid_send(kin_tr.sid) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_send';

CREATE TYPE kin_tr.sid (
    INPUT = kin_tr._sid_in, OUTPUT = kin_tr._sid_out,
    RECEIVE = kin_tr._sid_recv, SEND = kin_tr._sid_send,
    INTERNALLENGTH = 18, ALIGNMENT = char, STORAGE = plain
);
COMMENT ON TYPE kin_tr.sid IS
    'Twilio''s string identifier: two letters for the kind of object and 32 hexadecimal digits';

CREATE FUNCTION kin_tr._sid_eq(kin_tr.sid, kin_tr.sid) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_eq';
CREATE FUNCTION kin_tr._sid_ne(kin_tr.sid, kin_tr.sid) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_ne';
CREATE FUNCTION kin_tr._sid_lt(kin_tr.sid, kin_tr.sid) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_lt';
CREATE FUNCTION kin_tr._sid_le(kin_tr.sid, kin_tr.sid) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_le';
CREATE FUNCTION kin_tr._sid_gt(kin_tr.sid, kin_tr.sid) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_gt';
CREATE FUNCTION kin_tr._sid_ge(kin_tr.sid, kin_tr.sid) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_ge';
CREATE FUNCTION kin_tr._sid_cmp(kin_tr.sid, kin_tr.sid) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_cmp';
CREATE FUNCTION kin_tr._sid_sortsupport(internal) RETURNS void
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_sortsupport';
CREATE FUNCTION kin_tr._sid_hash(kin_tr.sid) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_hash';
CREATE FUNCTION kin_tr._sid_hash_extended(kin_tr.sid, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_hash_extended';

-- Operators live in pg_catalog: in kin_tr they would be found only by those who
-- have it in their search_path, and "WHERE sid = '...'" would compare texts.
CREATE OPERATOR pg_catalog.= (
    LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._sid_eq,
    COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR pg_catalog.<> (
    LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._sid_ne,
    COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
    RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR pg_catalog.< (
    LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._sid_lt,
    COMMUTATOR = OPERATOR(pg_catalog.>), NEGATOR = OPERATOR(pg_catalog.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR pg_catalog.<= (
    LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._sid_le,
    COMMUTATOR = OPERATOR(pg_catalog.>=), NEGATOR = OPERATOR(pg_catalog.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR pg_catalog.> (
    LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._sid_gt,
    COMMUTATOR = OPERATOR(pg_catalog.<), NEGATOR = OPERATOR(pg_catalog.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR pg_catalog.>= (
    LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._sid_ge,
    COMMUTATOR = OPERATOR(pg_catalog.<=), NEGATOR = OPERATOR(pg_catalog.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS kin_tr.sid_ops DEFAULT FOR TYPE kin_tr.sid USING btree AS
    OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=,
    OPERATOR 4 pg_catalog.>=, OPERATOR 5 pg_catalog.>,
    FUNCTION 1 kin_tr._sid_cmp(kin_tr.sid, kin_tr.sid),
    FUNCTION 2 kin_tr._sid_sortsupport(internal);
CREATE OPERATOR CLASS kin_tr.sid_hash_ops DEFAULT FOR TYPE kin_tr.sid USING hash AS
    OPERATOR 1 pg_catalog.=,
    FUNCTION 1 kin_tr._sid_hash(kin_tr.sid),
    FUNCTION 2 kin_tr._sid_hash_extended(kin_tr.sid, bigint);

CREATE FUNCTION kin_tr._sid_from_text(text) RETURNS kin_tr.sid
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_from_text';
CREATE FUNCTION kin_tr._sid_to_text(kin_tr.sid) RETURNS text
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_to_text';
CREATE CAST (kin_tr.sid AS text) WITH FUNCTION kin_tr._sid_to_text(kin_tr.sid) AS IMPLICIT;
CREATE CAST (text AS kin_tr.sid) WITH FUNCTION kin_tr._sid_from_text(text) AS ASSIGNMENT;

-- A client that sends a SID as text would otherwise compare texts, beside every
-- index.  These are inlined, so they pin no search path and qualify everything.
CREATE FUNCTION kin_tr._sid_eq_text(kin_tr.sid, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1 OPERATOR(pg_catalog.=) $2::kin_tr.sid;
CREATE FUNCTION kin_tr._text_eq_sid(text, kin_tr.sid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1::kin_tr.sid OPERATOR(pg_catalog.=) $2;
CREATE OPERATOR pg_catalog.= (
    LEFTARG = kin_tr.sid, RIGHTARG = text, FUNCTION = kin_tr._sid_eq_text,
    COMMUTATOR = OPERATOR(pg_catalog.=));
CREATE OPERATOR pg_catalog.= (
    LEFTARG = text, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._text_eq_sid,
    COMMUTATOR = OPERATOR(pg_catalog.=));

-- Without these 'text' || sid would be ambiguous, as sids turn into text.
CREATE FUNCTION kin_tr._sid_concat_text(kin_tr.sid, text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1::text OPERATOR(pg_catalog.||) $2;
CREATE FUNCTION kin_tr._text_concat_sid(text, kin_tr.sid) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1 OPERATOR(pg_catalog.||) $2::text;
CREATE OPERATOR pg_catalog.|| (LEFTARG = kin_tr.sid, RIGHTARG = text, FUNCTION = kin_tr._sid_concat_text);
CREATE OPERATOR pg_catalog.|| (LEFTARG = text, RIGHTARG = kin_tr.sid, FUNCTION = kin_tr._text_concat_sid);

CREATE FUNCTION kin_tr._new_sid(kind text) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'kin_tr_sid_new';
CREATE FUNCTION kin_tr._is_sid(text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kin_tr_is_sid';

-- -------------------------------------------------------------- base: clock
-- One row while the clock is set, else none.
CREATE TABLE kin_tr.clock (
    now      timestamptz NOT NULL,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
) WITH (fillfactor = 10);
COMMENT ON TABLE kin_tr.clock IS 'kin_tr''s clock while set_clock() has set it; empty in production';
COMMENT ON COLUMN kin_tr.clock.now IS 'the moment at which the clock stands';
COMMENT ON COLUMN kin_tr.clock.only_row IS 'true: there is one row at most';

CREATE FUNCTION kin_tr.now() RETURNS timestamptz
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'kin_tr_now'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.now() IS
'The time that kin_tr goes by: what set_clock() set, else the real time. Needs access of kind reader somewhere.';
CREATE FUNCTION kin_tr._clock_is_set() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'kin_tr_clock_is_set'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._store_clock(timestamptz) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_store_clock'
    SET search_path = pg_catalog, kin_tr, pg_temp;
