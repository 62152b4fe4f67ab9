-- A store of schema 0001, as pg_dump of PostgreSQL 15 dumps it, settings left out.
CREATE TABLE public.alembic_version (
	version_num character varying(32) NOT NULL
);
CREATE TABLE public.artifacts (
	id integer NOT NULL,
	run_id integer NOT NULL,
	name character varying NOT NULL,
	path text NOT NULL,
	sha256 character varying NOT NULL,
	bytes bigint NOT NULL
);
CREATE SEQUENCE public.artifacts_id_seq
	AS integer
	START WITH 1
	INCREMENT BY 1
	NO MINVALUE
	NO MAXVALUE
	CACHE 1;
ALTER SEQUENCE public.artifacts_id_seq OWNED BY public.artifacts.id;
CREATE TABLE public.events (
	id integer NOT NULL,
	study_id integer NOT NULL,
	run_id integer,
	"time" timestamp with time zone NOT NULL,
	kind character varying NOT NULL,
	text text NOT NULL
);
CREATE SEQUENCE public.events_id_seq
	AS integer
	START WITH 1
	INCREMENT BY 1
	NO MINVALUE
	NO MAXVALUE
	CACHE 1;
ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;
CREATE TABLE public.metric_values (
	id integer NOT NULL,
	run_id integer NOT NULL,
	name character varying NOT NULL,
	value double precision
);
CREATE SEQUENCE public.metric_values_id_seq
	AS integer
	START WITH 1
	INCREMENT BY 1
	NO MINVALUE
	NO MAXVALUE
	CACHE 1;
ALTER SEQUENCE public.metric_values_id_seq OWNED BY public.metric_values.id;
CREATE TABLE public.parameters (
	id integer NOT NULL,
	run_id integer NOT NULL,
	name character varying NOT NULL,
	value text NOT NULL
);
CREATE SEQUENCE public.parameters_id_seq
	AS integer
	START WITH 1
	INCREMENT BY 1
	NO MINVALUE
	NO MAXVALUE
	CACHE 1;
ALTER SEQUENCE public.parameters_id_seq OWNED BY public.parameters.id;
CREATE TABLE public.points (
	run_id integer NOT NULL,
	metric character varying NOT NULL,
	step integer NOT NULL,
	value double precision,
	seconds double precision
);
CREATE TABLE public.runs (
	id integer NOT NULL,
	study_id integer NOT NULL,
	number integer NOT NULL,
	state character varying(16) NOT NULL,
	owner character varying NOT NULL,
	heartbeat timestamp with time zone,
	created timestamp with time zone NOT NULL,
	started timestamp with time zone,
	ended timestamp with time zone,
	attempts integer NOT NULL,
	reason character varying NOT NULL,
	message text NOT NULL,
	seconds double precision
);
CREATE SEQUENCE public.runs_id_seq
	AS integer
	START WITH 1
	INCREMENT BY 1
	NO MINVALUE
	NO MAXVALUE
	CACHE 1;
ALTER SEQUENCE public.runs_id_seq OWNED BY public.runs.id;
CREATE TABLE public.studies (
	id integer NOT NULL,
	name character varying NOT NULL,
	budget integer NOT NULL,
	seed bigint NOT NULL,
	config text NOT NULL,
	created timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.studies_id_seq
	AS integer
	START WITH 1
	INCREMENT BY 1
	NO MINVALUE
	NO MAXVALUE
	CACHE 1;
ALTER SEQUENCE public.studies_id_seq OWNED BY public.studies.id;
ALTER TABLE ONLY public.artifacts ALTER COLUMN id SET DEFAULT nextval('public.artifacts_id_seq'::regclass);
ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);
ALTER TABLE ONLY public.metric_values ALTER COLUMN id SET DEFAULT nextval('public.metric_values_id_seq'::regclass);
ALTER TABLE ONLY public.parameters ALTER COLUMN id SET DEFAULT nextval('public.parameters_id_seq'::regclass);
ALTER TABLE ONLY public.runs ALTER COLUMN id SET DEFAULT nextval('public.runs_id_seq'::regclass);
ALTER TABLE ONLY public.studies ALTER COLUMN id SET DEFAULT nextval('public.studies_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.artifacts VALUES (1, 1, 'model', 'runs/0/model', 'abab', 180000000);
INSERT INTO public.events VALUES (1, 1, NULL, '2026-03-29 00:32:00+00', 'resumed', '2 runs to go');
INSERT INTO public.metric_values VALUES (1, 1, 'num_parameters', 45000000);
INSERT INTO public.metric_values VALUES (2, 1, 'exact', 61.5);
INSERT INTO public.metric_values VALUES (3, 2, 'num_parameters', 52000000);
INSERT INTO public.parameters VALUES (1, 1, 'num_layers', '3');
INSERT INTO public.parameters VALUES (2, 1, 'learning_rate', '5e-05');
INSERT INTO public.parameters VALUES (3, 2, 'num_layers', '4');
INSERT INTO public.parameters VALUES (4, 2, 'learning_rate', '3e-05');
INSERT INTO public.points VALUES (1, 'loss', 10, 2.5, 4);
INSERT INTO public.runs VALUES (1, 1, 0, 'finished', '', '2026-03-29 00:31:00+00', '2026-03-29 00:30:00+00', '2026-03-29 00:30:00+00', '2026-03-29 00:32:00+00', 1, '', '', 88.25);
INSERT INTO public.runs VALUES (2, 1, 1, 'running', 'host:1:100', '2026-03-29 00:33:00+00', '2026-03-29 00:32:00+00', '2026-03-29 00:32:00+00', NULL, 1, '', '', 0);
INSERT INTO public.studies VALUES (1, 'bert', 4, 7, 'seed = 7', '2026-03-29 00:30:00+00');
SELECT pg_catalog.setval('public.artifacts_id_seq', 1, true);
SELECT pg_catalog.setval('public.events_id_seq', 1, true);
SELECT pg_catalog.setval('public.metric_values_id_seq', 3, true);
SELECT pg_catalog.setval('public.parameters_id_seq', 4, true);
SELECT pg_catalog.setval('public.runs_id_seq', 2, true);
SELECT pg_catalog.setval('public.studies_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
	ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.artifacts
	ADD CONSTRAINT pk_artifacts PRIMARY KEY (id);
ALTER TABLE ONLY public.events
	ADD CONSTRAINT pk_events PRIMARY KEY (id);
ALTER TABLE ONLY public.metric_values
	ADD CONSTRAINT pk_metric_values PRIMARY KEY (id);
ALTER TABLE ONLY public.parameters
	ADD CONSTRAINT pk_parameters PRIMARY KEY (id);
ALTER TABLE ONLY public.points
	ADD CONSTRAINT pk_points PRIMARY KEY (run_id, metric, step);
ALTER TABLE ONLY public.runs
	ADD CONSTRAINT pk_runs PRIMARY KEY (id);
ALTER TABLE ONLY public.studies
	ADD CONSTRAINT pk_studies PRIMARY KEY (id);
ALTER TABLE ONLY public.artifacts
	ADD CONSTRAINT uq_artifacts_run_id_name UNIQUE (run_id, name);
ALTER TABLE ONLY public.metric_values
	ADD CONSTRAINT uq_metric_values_run_id_name UNIQUE (run_id, name);
ALTER TABLE ONLY public.parameters
	ADD CONSTRAINT uq_parameters_run_id_name UNIQUE (run_id, name);
ALTER TABLE ONLY public.runs
	ADD CONSTRAINT uq_runs_study_id_number UNIQUE (study_id, number);
ALTER TABLE ONLY public.studies
	ADD CONSTRAINT uq_studies_name UNIQUE (name);
CREATE INDEX ix_events_study_id ON public.events USING btree (study_id);
CREATE INDEX ix_runs_study_id_state ON public.runs USING btree (study_id, state);
ALTER TABLE ONLY public.artifacts
	ADD CONSTRAINT fk_artifacts_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.events
	ADD CONSTRAINT fk_events_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.events
	ADD CONSTRAINT fk_events_study_id FOREIGN KEY (study_id) REFERENCES public.studies(id);
ALTER TABLE ONLY public.metric_values
	ADD CONSTRAINT fk_metric_values_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.parameters
	ADD CONSTRAINT fk_parameters_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.points
	ADD CONSTRAINT fk_points_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.runs
	ADD CONSTRAINT fk_runs_study_id FOREIGN KEY (study_id) REFERENCES public.studies(id);
