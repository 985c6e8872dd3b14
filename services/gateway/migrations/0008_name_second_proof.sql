-- Every page behind a paper's code asks for it: not to be read out of the whole content each time.
ALTER TABLE authority ADD COLUMN second_proof boolean NOT NULL DEFAULT false;

UPDATE authority
SET second_proof = coalesce((convert_from(content, 'UTF8')::jsonb ->> 'second_proof')::boolean, false);
