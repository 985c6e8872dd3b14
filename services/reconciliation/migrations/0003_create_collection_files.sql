-- The last civil day in France that is closed: it stands in the row whose lock every feed position
-- is taken under, so a day is closed either before an item comes in or after, never beside it.
ALTER TABLE feed_counter ADD COLUMN closed_through date;

-- An item belongs to the day on which it was recorded. One that comes after its day was closed (a
-- slow transaction, a clock that is late) is recorded on the first open day: a closed day stays.
CREATE FUNCTION record_on_open_day() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed date;
BEGIN
    SELECT closed_through INTO closed FROM feed_counter WHERE authority = NEW.authority;
    NEW.recorded_at := greatest(
        NEW.recorded_at, (closed + 1)::timestamp AT TIME ZONE 'Europe/Paris'
    );
    RETURN NEW;
END
$$;

CREATE TRIGGER collection_on_open_day BEFORE INSERT ON collection
FOR EACH ROW EXECUTE FUNCTION record_on_open_day();

-- What each régie collected on a day, written once when the day is over.
CREATE TABLE day_closing (
    authority text NOT NULL,
    day date NOT NULL,
    regie text NOT NULL,
    payment_count bigint NOT NULL CHECK (payment_count >= 0),
    payment_cents bigint NOT NULL CHECK (payment_cents >= 0),
    reversal_count bigint NOT NULL CHECK (reversal_count >= 0),
    reversal_cents bigint NOT NULL CHECK (reversal_cents >= 0),
    first_position bigint,
    last_position bigint,
    occurred_from date,
    occurred_to date,
    -- SHA-256 over the day's event ids in feed order, each followed by a line feed.
    digest text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (authority, day, regie)
);

CREATE TRIGGER day_closing_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON day_closing
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How a biller wants the file of a régie, and where.
CREATE TABLE collection_file_setting (
    authority text NOT NULL,
    regie text NOT NULL,
    layout bytea NOT NULL,
    destination bytea NOT NULL,
    -- Sealed: the database alone opens nobody's server.
    secrets bytea NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (authority, regie)
);

-- One file for each régie and closed day. It keeps the layout it was planned with: made again, it
-- has the same bytes.
CREATE TABLE collection_file (
    authority text NOT NULL,
    regie text NOT NULL,
    day date NOT NULL,
    sequence integer NOT NULL CHECK (sequence >= 1),
    name text NOT NULL,
    layout bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'waiting', 'dropped', 'parked', 'kept')),
    storage_key text NOT NULL,
    size_bytes bigint NOT NULL DEFAULT 0,
    sha256 text NOT NULL DEFAULT '',
    control_sha256 text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    -- When it is looked at next; while somebody works on it, when their lease ends.
    next_at timestamptz NOT NULL,
    problem_code text NOT NULL DEFAULT '',
    problem_detail text NOT NULL DEFAULT '',
    planned_at timestamptz NOT NULL,
    made_at timestamptz,
    dropped_at timestamptz,
    PRIMARY KEY (authority, regie, day),
    UNIQUE (authority, regie, sequence),
    FOREIGN KEY (authority, day, regie) REFERENCES day_closing
);

CREATE INDEX collection_file_due ON collection_file (next_at)
WHERE state IN ('planned', 'waiting');
