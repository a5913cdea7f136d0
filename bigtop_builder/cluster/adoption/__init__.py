"""Inventories of clusters that exist already, made from what a server or its blueprints say."""
