-- The login may take these roles, and has nothing of theirs until it does: it is NOINHERIT.
CREATE ROLE watchbill_writer;
CREATE ROLE watchbill_admin;
CREATE ROLE watchbill_user;
GRANT watchbill_writer, watchbill_admin, watchbill_user TO watchbill;
ALTER SCHEMA public OWNER TO watchbill;
