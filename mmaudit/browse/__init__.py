"""Reading runs for people: listing, samples, kept inputs. Without model, data set or dashboard."""
