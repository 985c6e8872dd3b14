-- The books: entries of two lines or more whose sum is zero, written once and never changed.
CREATE TABLE entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What the entry is about: the same fact is posted once, whatever is replayed.
    fact text NOT NULL UNIQUE,
    kind text NOT NULL,
    authority text NOT NULL,
    regie text NOT NULL,
    invoice_id uuid,
    payment_id uuid,
    accounting_date date NOT NULL,
    posted_at timestamptz NOT NULL
);

CREATE INDEX entry_invoice ON entry (invoice_id);

CREATE TABLE line (
    entry_id bigint NOT NULL REFERENCES entry,
    position smallint NOT NULL,
    account text NOT NULL,
    -- Debit above zero, credit below.
    amount_cents bigint NOT NULL CHECK (amount_cents <> 0),
    PRIMARY KEY (entry_id, position)
);

CREATE INDEX line_account ON line (account);

CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total bigint;
    lines bigint;
BEGIN
    SELECT coalesce(sum(amount_cents), 0), count(*) INTO total, lines
    FROM line WHERE entry_id = NEW.entry_id;
    IF total <> 0 OR lines < 2 THEN
        RAISE EXCEPTION 'entry % has % lines and sums to %', NEW.entry_id, lines, total;
    END IF;
    RETURN NULL;
END
$$;

-- Looked at when the transaction ends: an entry may be written line by line.
CREATE CONSTRAINT TRIGGER entry_balanced AFTER INSERT ON entry
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();
CREATE CONSTRAINT TRIGGER line_balanced AFTER INSERT ON line
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the books are written once: % on %', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE TRIGGER entry_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER line_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON line
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Each invoice as the books know it: what the postings of the next fact start from.
CREATE TABLE account (
    invoice_id uuid PRIMARY KEY,
    authority text NOT NULL,
    regie text NOT NULL,
    number text NOT NULL,
    version integer NOT NULL DEFAULT 0,
    withdrawn_version integer NOT NULL DEFAULT 0,
    kind text NOT NULL DEFAULT 'invoice' CHECK (kind IN ('invoice', 'credit_note')),
    route text NOT NULL DEFAULT 'regie' CHECK (route IN ('regie', 'treasury')),
    amount_cents bigint NOT NULL DEFAULT 0 CHECK (amount_cents >= 0),
    due_on date,
    -- What was taken less what went back, and how the books show it now.
    received_cents bigint NOT NULL DEFAULT 0,
    posted_claim_cents bigint NOT NULL DEFAULT 0,
    posted_surplus_cents bigint NOT NULL DEFAULT 0,
    posted_unknown_cents bigint NOT NULL DEFAULT 0,
    posted_product_cents bigint NOT NULL DEFAULT 0,
    postings integer NOT NULL DEFAULT 0,
    reminder_level integer NOT NULL DEFAULT 0
);

CREATE INDEX account_due ON account (due_on)
WHERE route = 'regie' AND kind = 'invoice' AND reminder_level = 0;

-- The feed of billers. A position is taken under the lock of its authority's counter, so positions
-- become visible in order and a reader who remembers the last one misses nothing.
CREATE TABLE feed_counter (
    authority text PRIMARY KEY,
    position bigint NOT NULL
);

CREATE TABLE collection (
    authority text NOT NULL,
    position bigint NOT NULL,
    fact text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('payment', 'reversal')),
    payment_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    regie text NOT NULL,
    number text NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    means text NOT NULL,
    provider text NOT NULL,
    provider_reference text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (authority, position)
);

CREATE TABLE reminder_policy (
    authority text NOT NULL,
    regie text NOT NULL,
    revision integer NOT NULL,
    after_days integer NOT NULL CHECK (after_days >= 1),
    PRIMARY KEY (authority, regie)
);

CREATE TABLE reminder (
    invoice_id uuid NOT NULL,
    level integer NOT NULL,
    decided_at timestamptz NOT NULL,
    outstanding_cents bigint NOT NULL,
    PRIMARY KEY (invoice_id, level)
);
