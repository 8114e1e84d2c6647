"""Contents of datasets: walked, hashed, stored by MD5 in DVC's layout, indexed, and laid out again."""
