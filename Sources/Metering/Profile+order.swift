extension Profile {
    /// The same map for a device that was set to another order of words: it holds for all numbers of more than one register, and neither for
    /// texts, single registers nor words that stand apart. The examples are left out, since they are in the order of the map.
    package func ordered(_ order: WordOrder) -> Profile {
        var copy = self
        copy.points = points.map { $0.ordered(order) }
        copy.examples = []
        return copy
    }

    /// The text of a profile with this order said in it, so that whatever keeps the text decodes by it.
    package static func text(_ text: String, ordered order: WordOrder) -> String { "word_order = \"\(order.rawValue)\"\n" + text }
}

extension PointDefinition {
    fileprivate func ordered(_ order: WordOrder) -> PointDefinition {
        var copy = self
        // Words that stand apart are named one by one.
        if parts.isEmpty { copy.order = encoding.ordered(order, instead: self.order) }
        copy.terms = terms.map { $0.ordered(order) }
        copy.ratios = ratios.map { $0.ordered(order) }
        return copy
    }
}

extension Operand {
    fileprivate func ordered(_ order: WordOrder) -> Operand {
        var copy = self
        copy.order = encoding.ordered(order, instead: self.order)
        return copy
    }
}

extension Encoding {
    fileprivate func ordered(_ order: WordOrder, instead own: WordOrder) -> WordOrder {
        guard let wordCount, wordCount > 1 else { return own }
        return order
    }
}
