"""Paper: foreign PDFs opened with care, codes, stamps, rendering; all synchronous, over bytes."""
