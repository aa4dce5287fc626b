"""What makes settings invalid, one module per topic; `validation` puts them in order."""
