-- What billers deposit, line by line, and the invoices that are held.
CREATE TABLE authority (
    authority text PRIMARY KEY,
    name text NOT NULL,
    revision integer NOT NULL
);

CREATE TABLE regie (
    authority text NOT NULL REFERENCES authority,
    code text NOT NULL,
    label text NOT NULL,
    route text NOT NULL CHECK (route IN ('regie', 'treasury')),
    PRIMARY KEY (authority, code)
);

CREATE TABLE deposit (
    deposit_id uuid PRIMARY KEY,
    authority text NOT NULL,
    client text NOT NULL,
    idempotency_key text,
    body_sha256 text NOT NULL,
    format text NOT NULL,
    received_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX deposit_idempotency_key ON deposit (authority, client, idempotency_key)
WHERE idempotency_key IS NOT NULL;

CREATE TABLE deposit_line (
    deposit_id uuid NOT NULL REFERENCES deposit,
    position integer NOT NULL,
    regie text,
    number text,
    invoice_id uuid,
    version integer,
    status text NOT NULL CHECK (status IN ('created', 'unchanged', 'superseded', 'rejected')),
    code text,
    pointer text,
    message text,
    PRIMARY KEY (deposit_id, position)
);

CREATE INDEX deposit_line_invoice ON deposit_line (invoice_id, version);

-- Version 0 is a place taken within a transaction, before the first version is decided.
CREATE TABLE invoice (
    invoice_id uuid PRIMARY KEY,
    authority text NOT NULL,
    regie text NOT NULL,
    number text NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    fingerprint text NOT NULL,
    state text NOT NULL CHECK (state IN ('generated', 'refused', 'withdrawn')),
    kind text NOT NULL DEFAULT 'invoice',
    amount_cents bigint NOT NULL DEFAULT 0,
    deposit_id uuid,
    reason text,
    changed_at timestamptz NOT NULL,
    UNIQUE (authority, regie, number)
);
