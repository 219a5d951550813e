#!/bin/sh
# Runs once, when PostgreSQL finds no data: a database and an owner for each part, which sees no other's.
set -eu
make_database() {
    psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set=name="$1" --set=password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}
make_database ledger "$LEDGER_PASSWORD"
make_database airflow "$AIRFLOW_PASSWORD"
make_database mlflow "$MLFLOW_PASSWORD"
# The gateway reads the ledger and never writes it.
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set=password="$GATEWAY_PASSWORD" --dbname ledger <<'SQL'
CREATE ROLE gateway LOGIN PASSWORD :'password';
GRANT CONNECT ON DATABASE ledger TO gateway;
GRANT USAGE ON SCHEMA public TO gateway;
ALTER DEFAULT PRIVILEGES FOR ROLE ledger IN SCHEMA public GRANT SELECT ON TABLES TO gateway;
SQL
