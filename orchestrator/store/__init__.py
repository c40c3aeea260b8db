"""Where runs are kept: the only importer of SQLAlchemy. Tables are the truth; messages only speed things up."""
