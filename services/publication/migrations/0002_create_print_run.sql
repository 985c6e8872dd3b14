-- What a letter needs, beside the folder of its invoice; only for payers that have no e-mail address.
-- `deposit_id` is that of the version wanted, `published_deposit_id` that of the version shown.
ALTER TABLE folder
    ADD COLUMN deposit_id uuid,
    ADD COLUMN original_key text,
    ADD COLUMN published_deposit_id uuid,
    ADD COLUMN needs_paper boolean,
    ADD COLUMN number text,
    ADD COLUMN subject text,
    ADD COLUMN payer_reference text,
    ADD COLUMN payer_name text,
    ADD COLUMN payer_address text,
    ADD COLUMN print_pages integer CHECK (print_pages > 0),
    ADD COLUMN print_size_bytes bigint;

-- What waits now is counted for its deposit, and every original is removed with its folder.
UPDATE folder SET
    deposit_id = (convert_from(request, 'UTF8')::jsonb ->> 'deposit_id')::uuid,
    original_key = convert_from(request, 'UTF8')::jsonb -> 'document' ->> 'key'
WHERE request IS NOT NULL;

-- A migration is one transaction, in which no index is made CONCURRENTLY; publication pauses meanwhile
-- and nothing is lost, since its invoices wait in the topic.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX folder_deposit ON folder (deposit_id) WHERE state IN ('waiting', 'refused');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX folder_published_deposit ON folder (published_deposit_id)
    WHERE document_key IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX folder_original ON folder (original_key) WHERE original_key IS NOT NULL;

-- How many invoices of a deposit arrived, in rows that are only ever added: no consumer waits for
-- another, and their sum tells whether all have come.
CREATE TABLE deposit_part (
    deposit_id uuid NOT NULL,
    authority text NOT NULL,
    regie text NOT NULL,
    invoices integer NOT NULL CHECK (invoices > 0),
    arrived_on date NOT NULL DEFAULT current_date
);

CREATE INDEX deposit_part_deposit ON deposit_part (deposit_id);
CREATE INDEX deposit_part_arrived_on ON deposit_part (arrived_on);

-- One merged file for each list of letters; its key says which.
CREATE TABLE print_run (
    key text PRIMARY KEY,
    deposit_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('wanted', 'made', 'failed')),
    manifest bytea,
    attempts integer NOT NULL DEFAULT 0,
    claimed_by text,
    claimed_until timestamptz,
    size_bytes bigint,
    failure text,
    CHECK (state <> 'wanted' OR manifest IS NOT NULL),
    CHECK (state <> 'made' OR size_bytes IS NOT NULL)
);

CREATE INDEX print_run_deposit ON print_run (deposit_id);
CREATE INDEX print_run_wanted ON print_run (claimed_until NULLS FIRST) WHERE state = 'wanted';
