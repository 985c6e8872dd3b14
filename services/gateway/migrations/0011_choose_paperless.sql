-- Payers whose invoices are not to be printed any more, as their biller numbers them. `payer_words`
-- are the words of the name that was chosen for: two billing applications of a town may give one
-- reference to two people. The row outlives the account that chose while somebody else sees them.
CREATE TABLE paperless (
    payer_id uuid PRIMARY KEY,
    authority text NOT NULL,
    reference text COLLATE "C" NOT NULL,
    payer_words text [] NOT NULL,
    chosen_by uuid REFERENCES account ON DELETE SET NULL,
    chosen_at timestamptz NOT NULL
);

CREATE INDEX paperless_reference ON paperless (authority, reference);

CREATE INDEX paperless_chosen_by ON paperless (chosen_by);
