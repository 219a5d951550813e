# Every command a person types. CI and the hooks call the same targets.
SHELL := /bin/bash
BOOTSTRAP ?= $(shell command -v python3.11 || command -v python3)
PYTHON := .venv/bin/python
export PYTHONPATH := $(CURDIR)
.DEFAULT_GOAL := help
.PHONY: help setup run start demo drill drill-monitoring test test-slow test-faults test-services test-spark setup-spark bench-spark features bench bench-features check format lock stop backfill airflow trace served rollback abandon bench-stats bench-ramp bench-experiments bench-objectives bench-rollback bench-log bench-gateway bench-peers verify-ledger
.PHONY: new-model contract-reference readiness train check-retrain retire shadow shadow-report
.PHONY: bench-pages bench-monitoring test-browser
.PHONY: key-issue key-rotate key-revoke keys
.PHONY: bench-ledger bench-scale scaling sbom audit pin-images backup restore erase

help: ## List the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the three environments; only what changed is redone
	@test -n "$(BOOTSTRAP)" || { echo "Python 3.11 is needed and was not found; install it, or name it: make setup BOOTSTRAP=/path/to/python3.11"; exit 1; }
	@$(BOOTSTRAP) -m include.commands.setup

setup-spark: setup ## Install Spark beside them, for NINETY_ENGINE=spark (docs/spark.md)
	@$(PYTHON) -m include.commands.setup --spark

run: export NINETY_REPLAY := true
run: setup ## Start everything, bring the model to production, stay up (APPROVE=<user> answers the approval)
	@$(PYTHON) -m include.commands.run $(if $(APPROVE),--approve $(APPROVE))

start: export NINETY_REPLAY := false
start: setup ## Start every process with live schedules, no replay; leave alone what runs already
	@$(PYTHON) -m include.commands.start

demo: export NINETY_REPLAY := true
demo: setup ## The same unattended on replayed traffic of 2017; ends with a summary
	@$(PYTHON) -m include.commands.demo

drill: export NINETY_REPLAY := true
drill: setup ## Ship a sabotaged and an honest version through a real ramp on replayed traffic; writes docs/drill.md
	@$(PYTHON) -m include.commands.drill

drill-monitoring: setup ## Let quiet and troubled weeks of 2017 pass before the monitors; writes docs/drills/monitoring.md
	@$(PYTHON) -m include.commands.drill_monitoring

test: setup ## Unit tests and the end-to-end test on real processes
	@$(PYTHON) -m pytest $(ARGS)

test-slow: setup ## Tests that take longer than every run can bear; recorded in docs/test-runs.json
	@$(PYTHON) -m pytest -m slow -p tests.recorder --record $@ $(ARGS)

test-faults: setup ## Kill every stage at every moment that matters, and rerun it; recorded in docs/test-runs.json
	@$(PYTHON) -m pytest -m faults -p tests.recorder --record $@ $(ARGS)

test-services: setup ## The same tests on PostgreSQL, Redis, Celery, S3 and nginx, installed where root misses them; recorded, too
	@$(PYTHON) -m pytest -m services -p tests.recorder --record $@ $(ARGS)

test-spark: setup-spark ## Features, joins and drift on a cluster of Spark held against DuckDB row for row; Java is installed where root misses it; recorded, too
	@$(PYTHON) -m pytest -n0 -m spark -p tests.recorder --record $@ tests/spark $(ARGS)

test-browser: setup ## The operators' pages in Debian's Chromium, installed where root misses it; pictures go to docs/images, recorded, too
	@$(PYTHON) -m pytest -n0 -m browser -p tests.recorder --record $@ tests/plugins/operator_pages/test_in_browser.py tests/e2e/test_operators_seat.py $(ARGS)

check: setup ## Lint, formatting, types, import rules, locks: what CI and the hooks run
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m include.commands.lock --check

new-model: setup ## Scaffold a model folder: NAME=<model> [TASK=binary|multiclass|regression] [ENTITY=<key>]
	@$(PYTHON) -m include.commands.new_model "$(NAME)" $(if $(TASK),--task $(TASK)) $(if $(ENTITY),--entity $(ENTITY))

train: setup ## Train and judge a model on this machine, without Airflow; registers nothing: MODEL=<model> [AS_OF=<day>]
	@$(PYTHON) -m include.commands.train "$(MODEL)" "$(AS_OF)"

check-retrain: setup ## Say whether a model is due for training, failing if so: MODEL=<model> [AS_OF=<day>] [REQUEST=1 asks for it, BY=<user of Airflow>]
	@$(PYTHON) -m include.commands.check_retrain "$(MODEL)" "$(AS_OF)" $(if $(REQUEST),--request) $(if $(BY),--by "$(BY)")

readiness: setup ## Review a model before production, line by line: MODEL=<model> [AS_OF=<day>]
	@$(PYTHON) -m include.commands.production_readiness "$(MODEL)" "$(AS_OF)"

features: ## List every feature: owner, freshness, which models use it (PAGE=1 writes docs/features.md)
	@$(PYTHON) -m include.commands.features $(if $(PAGE),--page)

contract-reference: ## Write docs/contract.md and the contract's JSON schema from the code
	@$(PYTHON) -m include.commands.contract_reference

bench-features: setup ## Measure the feature store; writes docs/benchmarks/features.* (ONLY="joins year" measures parts)
	@$(PYTHON) -m include.commands.bench_features --install $(if $(ONLY),--only $(ONLY))

format: ## Format the code
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

lock: ## Resolve requirements.txt into requirements.lock, for each environment
	@$(PYTHON) -m include.commands.lock

stop: ## Stop what `make run` or `make start` started; nothing stays behind
	@test -x $(PYTHON) || { echo "nothing runs here: 'make setup' was never run"; exit 1; }
	@$(PYTHON) -m include.commands.stop

backfill: ## Compute the features of a range of days, one Airflow run a day: FROM=<day> TO=<day>
	@$(PYTHON) -m include.commands.backfill "$(FROM)" "$(TO)"

airflow: ## Airflow's own command line on the platform's database: ARGS="dags list"
	@$(PYTHON) -m include.commands.airflow $(ARGS)

trace: ## Tell how a prediction came to be: ID=<prediction_id>
	@$(PYTHON) -m include.commands.trace "$(ID)"

served: ## Tell what served a model at a moment, and who approved it: MODEL=<model> [AT=<ISO 8601>]
	@$(PYTHON) -m include.commands.served "$(MODEL)" "$(AT)"

rollback: ## Send all traffic back to an earlier version: MODEL=<model> TO=<version> REASON=<why>
	@$(PYTHON) -m include.commands.rollback "$(MODEL)" "$(TO)" "$(REASON)"

shadow: ## Mirror a share of the requests to a version that never answers: MODEL=<model> VERSION=<version> SHARE=<0 to 1; 0 ends it>
	@$(PYTHON) -m include.commands.shadow "$(MODEL)" "$(VERSION)" "$(SHARE)"

shadow-report: ## Compare what was answered with what the shadow said: MODEL=<model> [FROM=<moment>] [TO=<moment>] [THRESHOLD=<score>]
	@$(PYTHON) -m include.commands.shadow_report "$(MODEL)" "$(FROM)" "$(TO)" "$(THRESHOLD)"

abandon: ## End a model's open release or experiment: MODEL=<model> REASON=<why>
	@$(PYTHON) -m include.commands.abandon "$(MODEL)" "$(REASON)"

retire: ## Take a model, or one version, out of service; its history stays: MODEL=<model> REASON=<why> [VERSION=<version>]
	@$(PYTHON) -m include.commands.retire "$(MODEL)" "$(REASON)" "$(VERSION)"

bench: bench-stats bench-ramp bench-experiments bench-objectives bench-monitoring bench-features bench-rollback bench-log bench-pages bench-ledger bench-scale bench-gateway scaling ## Every benchmark there is; writes docs/benchmarks/

bench-stats: ## Monte Carlo of the sequential statistics; writes docs/benchmarks/stats.*
	@$(PYTHON) -m include.commands.bench_stats

bench-experiments: setup ## Measure an analysis of 10 M requests and as many outcomes; writes docs/benchmarks/experiments.*
	@$(PYTHON) -m include.commands.bench_experiments $(if $(ROWS),--rows $(ROWS)) $(if $(DATA),--data $(DATA))

bench-objectives: setup ## False alarms and detection of the burn-rate alerts, simulated; writes docs/benchmarks/objectives.*
	@$(PYTHON) -m include.commands.bench_objectives

bench-monitoring: setup ## Time, memory and power of the monitors; writes docs/benchmarks/monitoring.* (ONLY="detection" measures parts)
	@$(PYTHON) -m include.commands.bench_monitoring $(if $(ONLY),--only $(ONLY))

bench-ramp: ## Monte Carlo of the ramp's decisions; writes docs/benchmarks/ramp.*
	@$(PYTHON) -m include.commands.bench_ramp

bench-rollback: export NINETY_REPLAY := true
bench-rollback: setup ## Measure a rollback under load, Airflow down; writes docs/benchmarks/rollback.*
	@$(PYTHON) -m include.commands.bench_rollback

key-issue: setup ## Issue an API key, shown once: NAME=<name> MODELS=<model,…|*> VERBS=<predict,outcomes,infer,read> [DAYS=…] [RATE=<entities a second> [BURST=…]]
	@$(PYTHON) -m include.commands.keys issue "$(NAME)" "$(MODELS)" "$(VERBS)" "$(DAYS)" "$(RATE)" "$(BURST)"

key-rotate: setup ## Issue an API key's successor; the key goes on for a while: KEY_ID=<key> OVERLAP=<hours>
	@$(PYTHON) -m include.commands.keys rotate "$(KEY_ID)" "$(OVERLAP)"

key-revoke: setup ## Refuse an API key from now on: KEY_ID=<key> [REASON=<why>]
	@$(PYTHON) -m include.commands.keys revoke "$(KEY_ID)" "$(REASON)"

keys: setup ## List all API keys with scope, limit and state; never a secret
	@$(PYTHON) -m include.commands.keys list

bench-log: setup ## Measure the prediction log: one look-up among 10 M rows, appends; writes docs/benchmarks/log.*
	@$(PYTHON) -m include.commands.bench_log

backup: setup ## Copy ledger, registry, artefacts, logs and labels into a new folder, each file with its hash: TO=<folder>
	@$(PYTHON) -m include.commands.backup "$(TO)"

restore: setup ## Put a backup back where there is nothing, proven file by file: FROM=<folder>
	@$(PYTHON) -m include.commands.restore "$(FROM)"

erase: setup ## Take one entity out of log, labels, features, training sets and scores: ENTITY=<key> VALUE=<value> REASON=<why>
	@$(PYTHON) -m include.commands.erase "$(ENTITY)" "$(VALUE)" "$(REASON)"

bench-scale: setup ## Measure what one more entity, model and logged row costs; writes docs/benchmarks/scale.*
	@$(PYTHON) -m include.commands.bench_scale

scaling: setup ## Work out what a large customer needs from the benchmarks' records; writes docs/scaling.md
	@$(PYTHON) -m include.commands.scaling

sbom: setup ## Write a CycloneDX bill of materials of each environment to var/sbom/
	@$(PYTHON) -m include.commands.supply_chain sbom

pin-images: setup ## Ask registries for the digests of all images that docker/ names, and write them there; needs Docker
	@$(PYTHON) -m include.commands.pin_images

audit: setup ## Look every locked package up in PyPI's advisories; fails where one is weak or none could be looked up
	@$(PYTHON) -m include.commands.supply_chain audit

bench-ledger: setup ## Measure the ledger: events a second of eight writers, SQLite and PostgreSQL; writes docs/benchmarks/ledger.*
	@$(PYTHON) -m include.commands.bench_ledger --install

bench-spark: setup-spark ## Measure features and joins on Spark beside DuckDB, in turn; writes docs/benchmarks/spark.* (ARGS="--times 10")
	@$(PYTHON) -m include.commands.bench_spark $(ARGS)

bench-pages: setup ## Measure the operators' pages with a year of history; writes docs/benchmarks/pages.*
	@$(PYTHON) -m include.commands.bench_pages

bench-gateway: setup ## Measure the gateway at full duty; writes docs/benchmarks/gateway.* (ONLY="full duties" measures parts)
	@$(PYTHON) -m include.commands.bench_gateway --install $(if $(ONLY),--only $(ONLY))

bench-peers: setup ## Install five other model servers under var/peers and measure them beside the gateway
	@$(PYTHON) -m include.commands.bench_gateway --install --only peers

verify-ledger: ## Prove that no ledger event was altered, removed or reordered
	@$(PYTHON) -m include.commands.verify_ledger
