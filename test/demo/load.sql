-- The month's records, as they come: gzip -dc bank-1999-02.tsv.gz | psql -f load.sql
-- One row for each line of the file, with the line's number; nothing is corrected here.

CREATE SCHEMA bank;
COMMENT ON SCHEMA bank IS 'a month of a real call centre, replayed on kin_tr';

CREATE TABLE bank.records (
	record		integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	vru_line	text NOT NULL,
	call_id		integer NOT NULL,
	customer_id	text NOT NULL,			-- a spreadsheet has rounded some: 6.02701E+11
	priority	integer NOT NULL,
	type		text NOT NULL,
	date		date NOT NULL,			-- yymmdd in the file
	vru_entry	time NOT NULL,
	vru_exit	time NOT NULL,
	vru_time	integer NOT NULL,
	q_start		time NOT NULL,
	q_exit		time NOT NULL,
	q_time		integer NOT NULL,
	outcome		text NOT NULL,
	ser_start	time NOT NULL,
	ser_exit	time NOT NULL,
	ser_time	integer NOT NULL,
	server		text NOT NULL
);

\copy bank.records (vru_line, call_id, customer_id, priority, type, date, vru_entry, vru_exit, vru_time, q_start, q_exit, q_time, outcome, ser_start, ser_exit, ser_time, server) FROM pstdin WITH (FORMAT csv, DELIMITER E'\t', HEADER)

ANALYZE bank.records;
