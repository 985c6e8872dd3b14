-- What the portal shows, rebuilt from the events, and what it alone owns: authorities, people, keys.
CREATE TABLE authority (
    authority text PRIMARY KEY,
    name text NOT NULL,
    revision integer NOT NULL,
    content bytea NOT NULL
);

CREATE TABLE biller (
    client_id text PRIMARY KEY,
    secret_sha256 bytea NOT NULL,
    authority text NOT NULL REFERENCES authority,
    regies text [] NOT NULL,
    scopes text [] NOT NULL
);

CREATE TABLE account (
    account_id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    verified_at timestamptz,
    created_at timestamptz NOT NULL
);

CREATE TABLE agent (
    login text PRIMARY KEY,
    password_hash text NOT NULL,
    authority text NOT NULL REFERENCES authority
);

CREATE TABLE session (
    session_sha256 bytea PRIMARY KEY,
    account_id uuid REFERENCES account,
    login text REFERENCES agent,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    CHECK ((account_id IS NULL) <> (login IS NULL))
);

CREATE TABLE throttle (
    bucket text PRIMARY KEY,
    failures integer NOT NULL,
    started_at timestamptz NOT NULL,
    blocked_until timestamptz
);

-- Version 0 stands for an invoice that was withdrawn before it was published here.
CREATE TABLE invoice (
    invoice_id uuid PRIMARY KEY,
    authority text NOT NULL,
    authority_name text NOT NULL DEFAULT '',
    regie text NOT NULL,
    regie_label text NOT NULL DEFAULT '',
    number text NOT NULL,
    version integer NOT NULL DEFAULT 0,
    withdrawn_version integer NOT NULL DEFAULT 0,
    kind text NOT NULL DEFAULT 'invoice',
    route text NOT NULL DEFAULT 'regie',
    subject text NOT NULL DEFAULT '',
    issued_on date,
    due_on date,
    amount_cents bigint NOT NULL DEFAULT 0,
    payer_name text NOT NULL DEFAULT '',
    payer_email text,
    token_sha256 bytea UNIQUE,
    published_at timestamptz,
    readable_until date,
    reminded_at timestamptz
);

CREATE INDEX invoice_payer_email ON invoice (payer_email) WHERE payer_email IS NOT NULL;

-- Money that came in (above zero) or went back; it may be known before its invoice.
CREATE TABLE movement (
    fact text PRIMARY KEY,
    invoice_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    amount_cents bigint NOT NULL,
    means text NOT NULL,
    occurred_at timestamptz NOT NULL
);

CREATE INDEX movement_invoice ON movement (invoice_id);

CREATE TABLE attachment (
    account_id uuid NOT NULL REFERENCES account,
    invoice_id uuid NOT NULL,
    attached_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, invoice_id)
);
