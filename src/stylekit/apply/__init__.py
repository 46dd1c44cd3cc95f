"""`stylekit apply`: the plan of a batch, its run and its reports."""
