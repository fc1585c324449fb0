\echo Use "CREATE EXTENSION kin_tr" to load this file. \quit

-- The parts of this script are in sql/install, named after the rooms of src.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Bare, so that a schema that somebody has planted makes the installation fail.
CREATE SCHEMA kin_tr;
