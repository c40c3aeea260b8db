"""What several kinds of tests share: contract data, fake servers, real services started for a test."""
