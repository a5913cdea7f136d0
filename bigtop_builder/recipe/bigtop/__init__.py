"""Reading a tree of Apache Bigtop: its bill of materials, its specs and the files next to them."""
