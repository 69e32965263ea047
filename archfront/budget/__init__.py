"""What a search's time will be spent on: how long a training takes here, who is screened, who comes into the finals."""
