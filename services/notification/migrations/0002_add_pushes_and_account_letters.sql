-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation
-- squawk-ignore-file ban-drop-constraint
-- Letters about an account, such as a link to confirm an address, are messages of one more kind;
-- they have an index of their own, because they do not queue behind those about invoices.
ALTER TABLE message
DROP CONSTRAINT message_kind_check,
ADD CONSTRAINT message_kind_check CHECK (
    kind IN ('invoice_published', 'receipt', 'reversal', 'reminder', 'account')
);

CREATE INDEX message_urgent ON message (due_at) WHERE state = 'waiting' AND kind = 'account';

-- An account as the gateway last told it. A row without `updated_at` holds the place of an account
-- that other facts already name: it is what they lock. A row with `updated_at` and no address is
-- what stays of a closed account, so that facts read again bring nothing of it back.
CREATE TABLE contact (
    account_id uuid PRIMARY KEY,
    email text,
    wishes jsonb,
    updated_at timestamptz,
    CHECK ((email IS NULL) = (wishes IS NULL)),
    CHECK (email IS NULL OR updated_at IS NOT NULL)
);

-- Who sees an invoice in an account: reminders and receipts go to them as well.
CREATE TABLE viewer (
    invoice_id uuid NOT NULL,
    account_id uuid NOT NULL,
    PRIMARY KEY (invoice_id, account_id)
);

CREATE INDEX viewer_account ON viewer (account_id);

-- A browser on a telephone or a computer that may be pushed to (RFC 8030). One endpoint belongs to
-- one account at a time.
CREATE TABLE device (
    account_id uuid NOT NULL,
    device_id uuid NOT NULL,
    endpoint text NOT NULL UNIQUE,
    host text NOT NULL,
    p256dh bytea NOT NULL,
    auth bytea NOT NULL,
    label text NOT NULL,
    language text NOT NULL,
    registered_at timestamptz NOT NULL,
    last_sent_at timestamptz,
    PRIMARY KEY (account_id, device_id)
);

-- Push services we know, and until when one of them asked to be left alone.
CREATE TABLE push_host (
    host text PRIMARY KEY,
    paused_until timestamptz
);

-- One push for each fact and device: the unique constraint is why nothing is pushed twice. It names
-- no person and outlives its device, so that a fact read again is still the same fact.
CREATE TABLE push (
    push_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('invoice', 'reminder', 'receipt', 'test')),
    fact_key text NOT NULL,
    account_id uuid NOT NULL,
    device_id uuid NOT NULL,
    host text NOT NULL,
    is_test boolean NOT NULL,
    news jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'skipped', 'refused', 'abandoned')),
    reason text,
    attempts integer NOT NULL DEFAULT 0,
    code integer,
    answer text,
    written_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    ended_at timestamptz,
    claimed_by text,
    claimed_until timestamptz,
    UNIQUE (kind, fact_key, account_id, device_id),
    CHECK (state NOT IN ('skipped', 'refused') OR reason IS NOT NULL)
);

-- By push service: one that is paused or slow is stepped over, however much waits for it. A push
-- that somebody asked for to try a telephone comes before the others.
CREATE INDEX push_waiting ON push (host, is_test DESC, due_at) WHERE state = 'waiting';
CREATE INDEX push_account ON push (account_id);
