"""A Dask cluster: its client, its workers, and the certificates between them."""
