#!/bin/sh
# Run once by the image, as the superuser, when the database is new: the role that owns and migrates, and the role that
# serves, which has neither SUPERUSER nor BYPASSRLS and owns nothing. The same as consumption_cs/provision.py.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" \
    --set owner_password="$CCS_OWNER_PASSWORD" --set app_password="$CCS_APP_PASSWORD" --set database="$POSTGRES_DB" <<'SQL'
CREATE ROLE ccs_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE ccs_app LOGIN PASSWORD :'app_password';
ALTER DATABASE :"database" OWNER TO ccs_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO ccs_owner, ccs_app;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO ccs_owner;
GRANT USAGE ON SCHEMA public TO ccs_app;
ALTER DEFAULT PRIVILEGES FOR ROLE ccs_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ccs_app;
ALTER DEFAULT PRIVILEGES FOR ROLE ccs_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO ccs_app;
ALTER DEFAULT PRIVILEGES FOR ROLE ccs_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO ccs_app;
SQL
