-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation
-- squawk-ignore-file require-concurrent-index-deletion, ban-drop-constraint
-- A deposit is kept first and read afterwards, also by another process than the one that took it.
ALTER TABLE deposit
    ADD COLUMN status text NOT NULL DEFAULT 'done' CHECK (status IN ('reading', 'done', 'failed')),
    ADD COLUMN is_dry_run boolean NOT NULL DEFAULT false,
    -- What the address and the token said.
    ADD COLUMN regie text,
    ADD COLUMN version integer CHECK (version >= 1),
    ADD COLUMN regies text[],
    ADD COLUMN publish text NOT NULL DEFAULT 'auto' CHECK (publish IN ('auto', 'manual', 'at')),
    ADD COLUMN publish_on date,
    ADD COLUMN release text NOT NULL DEFAULT 'released'
        CHECK (release IN ('none', 'held', 'released', 'cancelled')),
    -- What is in the object store until it is read: whether there is a body, and the files beside it.
    ADD COLUMN has_body boolean NOT NULL DEFAULT false,
    ADD COLUMN parts bytea,
    ADD COLUMN size_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN read_bytes bigint NOT NULL DEFAULT 0,
    -- Lines read so far, and in the end what became of them.
    ADD COLUMN total integer NOT NULL DEFAULT 0,
    ADD COLUMN created integer NOT NULL DEFAULT 0,
    ADD COLUMN unchanged integer NOT NULL DEFAULT 0,
    ADD COLUMN superseded integer NOT NULL DEFAULT 0,
    ADD COLUMN rejected integer NOT NULL DEFAULT 0,
    ADD COLUMN amount_cents bigint NOT NULL DEFAULT 0,
    ADD COLUMN mapping bytea,
    ADD COLUMN problem_code text,
    ADD COLUMN problem_pointer text,
    ADD COLUMN problem_detail text,
    ADD COLUMN claimed_by text,
    ADD COLUMN claimed_until timestamptz,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD CHECK (status <> 'failed' OR problem_code IS NOT NULL),
    ADD CHECK (publish <> 'at' OR publish_on IS NOT NULL);

UPDATE deposit SET total = t.total, created = t.created, unchanged = t.unchanged,
    superseded = t.superseded, rejected = t.rejected
FROM (
    SELECT deposit_id, count(*) AS total,
        count(*) FILTER (WHERE status = 'created') AS created,
        count(*) FILTER (WHERE status = 'unchanged') AS unchanged,
        count(*) FILTER (WHERE status = 'superseded') AS superseded,
        count(*) FILTER (WHERE status = 'rejected') AS rejected
    FROM deposit_line GROUP BY deposit_id
) AS t WHERE t.deposit_id = deposit.deposit_id;

CREATE INDEX deposit_reading ON deposit (claimed_until) WHERE status = 'reading';
CREATE INDEX deposit_held ON deposit (publish_on) WHERE release = 'held';

-- Where the line stands from which the held version came: a refusal finds it without an index.
ALTER TABLE invoice ADD COLUMN position integer;
UPDATE invoice SET position = deposit_line.position FROM deposit_line
WHERE deposit_line.deposit_id = invoice.deposit_id AND deposit_line.invoice_id = invoice.invoice_id
    AND deposit_line.version = invoice.version AND deposit_line.status IN ('created', 'superseded');
DROP INDEX deposit_line_invoice;

-- The id is made from authority, régie and number: it says the same as this constraint did.
ALTER TABLE invoice DROP CONSTRAINT invoice_authority_regie_number_key;
-- No version is 0 any more: a place is taken by the version that comes to it.
ALTER TABLE invoice DROP CONSTRAINT invoice_state_check;
ALTER TABLE invoice ADD CONSTRAINT invoice_state_check
    CHECK (state IN ('generated', 'held', 'refused', 'withdrawn'));

-- What waits to be released, and what it would replace: the row to put back if it is cancelled.
CREATE TABLE held_invoice (
    deposit_id uuid NOT NULL REFERENCES deposit,
    position integer NOT NULL,
    invoice_id uuid NOT NULL,
    version integer NOT NULL,
    event bytea NOT NULL,
    earlier bytea,
    PRIMARY KEY (deposit_id, position)
);

-- Which column of a régie's spreadsheets holds which field.
CREATE TABLE column_mapping (
    authority text NOT NULL,
    regie text NOT NULL,
    mapping bytea NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (authority, regie)
);

-- Who may deposit on a Kafka topic of its own, and for which régies.
CREATE TABLE kafka_biller (
    client_id text PRIMARY KEY,
    authority text NOT NULL REFERENCES authority,
    regies text[] NOT NULL
);
