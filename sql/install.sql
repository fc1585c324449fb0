-- The extension installs, and leaves nothing undocumented.
CREATE EXTENSION kin_tr;
SELECT count(*) AS workspaces FROM kin_tr.workspaces;
SELECT kin_tr.version() = (SELECT default_version FROM pg_available_extensions WHERE name = 'kin_tr') AS same_version;
