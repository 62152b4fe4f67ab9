-- A store of schema 0001, as sqlite3 dumps it: what that version wrote stays readable.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE artifacts (
	id INTEGER NOT NULL,
	run_id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	path TEXT NOT NULL,
	sha256 VARCHAR NOT NULL,
	bytes BIGINT NOT NULL,
	CONSTRAINT pk_artifacts PRIMARY KEY (id),
	CONSTRAINT uq_artifacts_run_id_name UNIQUE (run_id, name),
	CONSTRAINT fk_artifacts_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "artifacts" VALUES(1,1,'model','runs/0/model','abab',180000000);
CREATE TABLE events (
	id INTEGER NOT NULL,
	study_id INTEGER NOT NULL,
	run_id INTEGER,
	time DATETIME NOT NULL,
	kind VARCHAR NOT NULL,
	text TEXT NOT NULL,
	CONSTRAINT pk_events PRIMARY KEY (id),
	CONSTRAINT fk_events_study_id FOREIGN KEY(study_id) REFERENCES studies (id),
	CONSTRAINT fk_events_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "events" VALUES(1,1,NULL,'2026-03-29 00:32:00','resumed','2 runs to go');
CREATE TABLE metric_values (
	id INTEGER NOT NULL,
	run_id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	value DOUBLE,
	CONSTRAINT pk_metric_values PRIMARY KEY (id),
	CONSTRAINT uq_metric_values_run_id_name UNIQUE (run_id, name),
	CONSTRAINT fk_metric_values_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "metric_values" VALUES(1,1,'num_parameters',45000000.0);
INSERT INTO "metric_values" VALUES(2,1,'exact',61.5);
INSERT INTO "metric_values" VALUES(3,2,'num_parameters',52000000.0);
CREATE TABLE parameters (
	id INTEGER NOT NULL,
	run_id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_parameters PRIMARY KEY (id),
	CONSTRAINT uq_parameters_run_id_name UNIQUE (run_id, name),
	CONSTRAINT fk_parameters_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "parameters" VALUES(1,1,'num_layers','3');
INSERT INTO "parameters" VALUES(2,1,'learning_rate','5e-05');
INSERT INTO "parameters" VALUES(3,2,'num_layers','4');
INSERT INTO "parameters" VALUES(4,2,'learning_rate','3e-05');
CREATE TABLE points (
	run_id INTEGER NOT NULL,
	metric VARCHAR NOT NULL,
	step INTEGER NOT NULL,
	value DOUBLE,
	seconds DOUBLE,
	CONSTRAINT pk_points PRIMARY KEY (run_id, metric, step),
	CONSTRAINT fk_points_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "points" VALUES(1,'loss',10,2.5,4.0);
CREATE TABLE runs (
	id INTEGER NOT NULL,
	study_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	state VARCHAR(16) NOT NULL,
	owner VARCHAR NOT NULL,
	heartbeat DATETIME,
	created DATETIME NOT NULL,
	started DATETIME,
	ended DATETIME,
	attempts INTEGER NOT NULL,
	reason VARCHAR NOT NULL,
	message TEXT NOT NULL,
	seconds DOUBLE,
	CONSTRAINT pk_runs PRIMARY KEY (id),
	CONSTRAINT uq_runs_study_id_number UNIQUE (study_id, number),
	CONSTRAINT fk_runs_study_id FOREIGN KEY(study_id) REFERENCES studies (id)
);
INSERT INTO "runs" VALUES(1,1,0,'finished','','2026-03-29 00:31:00','2026-03-29 00:30:00','2026-03-29 00:30:00','2026-03-29 00:32:00',1,'','',88.25);
INSERT INTO "runs" VALUES(2,1,1,'running','host:1:100','2026-03-29 00:33:00','2026-03-29 00:32:00','2026-03-29 00:32:00',NULL,1,'','',0.0);
CREATE TABLE studies (
	id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	budget INTEGER NOT NULL,
	seed BIGINT NOT NULL,
	config TEXT NOT NULL,
	created DATETIME NOT NULL,
	CONSTRAINT pk_studies PRIMARY KEY (id),
	CONSTRAINT uq_studies_name UNIQUE (name)
);
INSERT INTO "studies" VALUES(1,'bert',4,7,'seed = 7','2026-03-29 00:30:00');
CREATE INDEX ix_runs_study_id_state ON runs (study_id, state);
CREATE INDEX ix_events_study_id ON events (study_id);
COMMIT;
